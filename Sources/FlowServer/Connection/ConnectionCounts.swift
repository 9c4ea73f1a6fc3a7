internal import HTTPTypes
internal import Hummingbird
internal import NIOCore
internal import Synchronization

/// Counts connections by client address, so that no single client uses all of them.
final class ConnectionCounts: Sendable {
  /// The counter of a connection.
  enum Place: Equatable, Sendable {
    /// Uncounted: a proxy serves many clients, or the connection has no address.
    case uncounted
    case address([UInt8])
  }

  /// The response to a connection beyond the limit.
  static let refusal = ServerError(
    .tooManyRequests, "too_many_connections",
    "this address has too many connections open; close some, and try again", retryAfter: 1)

  private let limit: Int
  private let proxies: TrustedProxies
  private let counts = Mutex<[[UInt8]: Int]>([:])

  /// Creates counts.
  ///
  /// - Parameters:
  ///   - limit: the maximum number of connections per address.
  ///   - proxies: addresses whose connections are not counted.
  init(limit: Int, proxies: TrustedProxies) {
    self.limit = limit
    self.proxies = proxies
  }

  /// Counts a new connection; returns nil if its address has reached the limit.
  ///
  /// - Parameter remote: the textual address; nil for a connection without one.
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

  /// Removes a closed connection from its counter.
  func leave(_ place: Place) {
    guard case .address(let key) = place else { return }
    counts.withLock { counts in
      let count = counts[key, default: 0] - 1
      counts[key] = count > 0 ? count : nil
    }
  }

  /// An IPv6 client usually owns a network of 64 bits.
  private static func key(_ address: [UInt8]) -> [UInt8] {
    let plain = TrustedProxies.unmapped(address)
    return plain.count == 16 ? Array(plain.prefix(8)) : plain
  }
}

/// Responds to a connection beyond the limit, and closes it.
final class RefusingHandler: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  func channelActive(context: ChannelHandlerContext) {
    let body = JSONWire.text(of: ConnectionCounts.refusal.body)
    let text =
      "HTTP/1.1 429 Too Many Requests\r\nConnection: close\r\nRetry-After: 1\r\n"
      + "Content-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
    // Closed immediately, so that it does not occupy a slot longer.
    context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: text))).assumeIsolated().whenComplete {
      _ in context.close(promise: nil)
    }
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {}
}
