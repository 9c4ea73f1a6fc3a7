internal import HTTPTypes
internal import Hummingbird
internal import NIOCore
internal import Synchronization

/// Counts connections by the address that they come from, so that no single one takes them all.
final class ConnectionCounts: Sendable {
  /// Where a connection is counted.
  enum Place: Equatable, Sendable {
    /// Nowhere: it is a proxy's, whose clients are many, or has no address.
    case uncounted
    case address([UInt8])
  }

  /// What a connection beyond the limit is answered with.
  static let refusal = ServerError(
    .tooManyRequests, "too_many_connections",
    "this address has too many connections open; close some, and try again", retryAfter: 1)

  private let limit: Int
  private let proxies: TrustedProxies
  private let counts = Mutex<[[UInt8]: Int]>([:])

  /// Creates counts.
  ///
  /// - Parameters:
  ///   - limit: the most connections of one address.
  ///   - proxies: addresses whose connections are not counted.
  init(limit: Int, proxies: TrustedProxies) {
    self.limit = limit
    self.proxies = proxies
  }

  /// Counts a connection in; nil if its address has as many as it may have.
  ///
  /// - Parameter remote: the address in words; nil for a connection that has none.
  func enter(_ remote: String?) -> Place? {
    guard let remote, let address = Authority(host: remote)?.address,
      !proxies.contains(address)
    else { return .uncounted }
    let key = Self.key(address)
    let isFull = counts.withLock { counts in
      guard counts[key, default: 0] < limit else { return true }
      counts[key, default: 0] += 1
      return false
    }
    return isFull ? nil : .address(key)
  }

  /// Counts a connection out.
  func leave(_ place: Place) {
    guard case .address(let key) = place else { return }
    counts.withLock { counts in
      let count = counts[key, default: 0] - 1
      counts[key] = count > 0 ? count : nil
    }
  }

  /// An IPv6 client usually has a network of 64 bits to itself.
  private static func key(_ address: [UInt8]) -> [UInt8] {
    let plain = TrustedProxies.unmapped(address)
    return plain.count == 16 ? Array(plain.prefix(8)) : plain
  }
}

/// Answers a connection that is one too many, and closes it.
final class RefusingHandler: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  func channelActive(context: ChannelHandlerContext) {
    let body = JSONWire.text(of: ConnectionCounts.refusal.body)
    let text =
      "HTTP/1.1 429 Too Many Requests\r\nConnection: close\r\nRetry-After: 1\r\n"
      + "Content-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
    // At once: it must not hold a place for longer.
    context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: text))).assumeIsolated().whenComplete {
      _ in context.close(promise: nil)
    }
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {}
}
