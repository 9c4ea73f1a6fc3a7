internal import HTTPTypes
internal import NIOCore
internal import NIOHTTP1
internal import NIOHTTPTypes
internal import NIOHTTPTypesHTTP1
internal import NIOPosix
internal import NIOWebSocket

/// Requests of a gateway to a worker's live streams, each over a connection of its own.
struct LiveConnection: Sendable {
  let host: LiveHost

  /// How long a worker may take to accept a connection.
  private static let connectTime = TimeAmount.seconds(3)
  /// The most bytes of an answer that is not a stream of images.
  private static let answerByteCount = 1 << 20
  /// The most bytes of a WebSocket message of a worker: a large image.
  private static let messageByteCount = 1 << 28

  private typealias Exchange = NIOAsyncChannel<HTTPResponsePart, HTTPRequestPart>

  /// A worker's answer.
  struct Answer: Sendable {
    let head: HTTPResponse
    let body: ByteBuffer
  }

  /// Sends a request, and reads the whole answer.
  ///
  /// - Throws: `worker_unreachable`.
  func answer(
    _ method: HTTPRequest.Method, _ path: String, headers: HTTPFields = [:], body: ByteBuffer? = nil
  ) async throws -> Answer {
    try await exchange(method, path, headers: headers, body: body) { head, parts in
      var received = ByteBuffer()
      while case .body(var part)? = try await parts.next() {
        guard received.readableBytes + part.readableBytes <= Self.answerByteCount else {
          throw Self.broken
        }
        received.writeBuffer(&part)
      }
      return Answer(head: head, body: received)
    }
  }

  /// Sends a request, and hands on the parts of an answer with status 200.
  ///
  /// - Throws: `worker_unreachable`, also for another status.
  func parts(of path: String, _ hand: @escaping (ByteBuffer) async throws -> Void) async throws {
    try await exchange(.get, path, headers: [:], body: nil) { head, parts in
      guard head.status == .ok else { throw Self.broken }
      while case .body(let part)? = try await parts.next() { try await hand(part) }
    }
  }

  private func exchange<Result: Sendable>(
    _ method: HTTPRequest.Method, _ path: String, headers: HTTPFields, body: ByteBuffer?,
    _ read: (
      HTTPResponse, inout NIOAsyncChannelInboundStream<HTTPResponsePart>.AsyncIterator
    ) async throws -> Result
  ) async throws -> Result {
    var request = HTTPRequest(
      method: method, scheme: "http", authority: host.authority, path: path, headerFields: headers)
    request.headerFields[.authorization] = "Bearer \(host.token)"
    request.headerFields[.connection] = "close"
    if let body { request.headerFields[.contentLength] = "\(body.readableBytes)" }
    return try await Self.reaching {
      let channel: Exchange = try await Self.bootstrap.connect(host: host.host, port: host.port) {
        channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHTTPClientHandlers()
          try channel.pipeline.syncOperations.addHandler(HTTP1ToHTTPClientCodec())
          return try Exchange(wrappingChannelSynchronously: channel)
        }
      }
      return try await channel.executeThenClose { inbound, outbound in
        try await outbound.write(.head(request))
        if let body { try await outbound.write(.body(body)) }
        try await outbound.write(.end(nil))
        var parts = inbound.makeAsyncIterator()
        guard case .head(let head)? = try await parts.next() else { throw Self.broken }
        return try await read(head, &parts)
      }
    }
  }

  /// Opens a WebSocket.
  ///
  /// - Throws: `worker_unreachable`, also where the worker does not have the stream.
  func socket(_ path: String) async throws -> SocketChannel.Socket {
    var headers = HTTPHeaders()
    headers.add(name: "Host", value: host.authority)
    headers.add(name: "Authorization", value: "Bearer \(host.token)")
    let head = HTTPRequestHead(version: .http1_1, method: .GET, uri: path, headers: headers)
    return try await Self.reaching {
      let opened: EventLoopFuture<SocketChannel.Socket?> = try await Self.bootstrap.connect(
        host: host.host, port: host.port
      ) { channel in
        channel.eventLoop.makeCompletedFuture {
          let upgrader = NIOTypedWebSocketClientUpgrader<SocketChannel.Socket?>(
            maxFrameSize: Self.messageByteCount
          ) { channel, _ in
            channel.eventLoop.makeCompletedFuture {
              try SocketChannel.Socket(wrappingChannelSynchronously: channel)
            }
          }
          return try channel.pipeline.syncOperations.configureUpgradableHTTPClientPipeline(
            configuration: .init(
              upgradeConfiguration: NIOTypedHTTPClientUpgradeConfiguration(
                upgradeRequestHead: head, upgraders: [upgrader]
              ) { channel in
                channel.close(promise: nil)
                return channel.eventLoop.makeSucceededFuture(nil)
              }))
        }
      }
      guard let socket = try await opened.get() else { throw Self.broken }
      return socket
    }
  }

  private static var bootstrap: ClientBootstrap {
    ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .channelOption(.socketOption(.so_reuseaddr), value: 1)
      .channelOption(.tcpOption(.tcp_nodelay), value: 1)
      .connectTimeout(connectTime)
  }

  /// Runs a request, with one error for whatever keeps it from its worker.
  private static func reaching<Result>(_ work: () async throws -> Result) async throws -> Result {
    do { return try await work() } catch let error as ServerError { throw error } catch let error
      as CancellationError
    {
      throw error
    } catch {
      try Task.checkCancellation()
      throw unreachable
    }
  }

  private static let broken = ServerError(
    .badGateway, "worker_broken",
    "the worker of this stream broke its answer off; create a new stream")

  /// The error for a worker that does not answer.
  static let unreachable = ServerError(
    .badGateway, "worker_unreachable",
    "the worker of this stream does not answer; create a new stream")
}
