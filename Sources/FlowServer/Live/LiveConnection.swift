internal import Foundation
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

  /// How long a worker may take to accept a connection, and to begin a WebSocket.
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

  // MARK: - HTTP

  /// Sends a request, and reads the whole answer.
  ///
  /// - Parameters:
  ///   - method: the method.
  ///   - path: the path and the query.
  ///   - headers: headers besides the token.
  ///   - body: the body, if any.
  ///   - time: how long all of it may take.
  /// - Throws: `worker_unreachable`, also for a worker that is not the one of ``host`` any more.
  func answer(
    _ method: HTTPRequest.Method, _ path: String, headers: HTTPFields = [:],
    body: ByteBuffer? = nil, within time: Duration
  ) async throws -> Answer {
    try await FlowServer.within(time, else: Self.unreachable) {
      try await exchange(method, path, headers: headers, body: body) { head, parts in
        var received = ByteBuffer()
        while case .body(var part)? = try await parts.next() {
          guard received.readableBytes + part.readableBytes <= Self.answerByteCount else {
            throw Self.unreachable
          }
          received.writeBuffer(&part)
        }
        return Answer(head: head, body: received)
      }
    }
  }

  /// Sends a request, and forwards the parts of an answer with status 200 until either side ends.
  ///
  /// - Parameters:
  ///   - path: the path.
  ///   - stop: ends it.
  ///   - forward: called with each part.
  /// - Throws: `worker_unreachable`, also for another status.
  func parts(
    of path: String, until stop: StopSignal, _ forward: (ByteBuffer) async throws -> Void
  ) async throws {
    try await exchange(.get, path, headers: [:], body: nil, until: stop) { head, parts in
      guard head.status == .ok else { throw Self.unreachable }
      while case .body(let part)? = try await parts.next() { try await forward(part) }
    }
  }

  private func exchange<Result: Sendable>(
    _ method: HTTPRequest.Method, _ path: String, headers: HTTPFields, body: ByteBuffer?,
    until stop: StopSignal = StopSignal(),
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
      let connection = channel.channel
      return try await channel.executeThenClose { inbound, outbound in
        let ending = Task {
          await stop.wait()
          if !Task.isCancelled { connection.close(promise: nil) }
        }
        defer { ending.cancel() }
        try await outbound.write(.head(request))
        if let body { try await outbound.write(.body(body)) }
        try await outbound.write(.end(nil))
        var parts = inbound.makeAsyncIterator()
        guard case .head(let head)? = try await parts.next(), !Self.isOfAnother(head.status) else {
          throw Self.unreachable
        }
        return try await read(head, &parts)
      }
    }
  }

  /// Whether a worker refuses its gateway: another process listens at the address by now.
  private static func isOfAnother(_ status: HTTPResponse.Status) -> Bool {
    status == .unauthorized || status == .forbidden || status == .misdirectedRequest
  }

  // MARK: - WebSockets

  /// Opens a WebSocket, which closes if the worker sends nothing for a while.
  ///
  /// - Parameters:
  ///   - path: the path.
  ///   - silence: how long the worker may send nothing; workers send pings.
  /// - Throws: `worker_unreachable`, also where the worker does not have the stream.
  func socket(_ path: String, silence: Duration) async throws -> SocketChannel.Socket {
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
              try channel.pipeline.syncOperations.addHandlers([
                IdleStateHandler(readTimeout: TimeAmount(silence)), SilentWorkerHandler(),
              ])
              // Few messages wait here, so that a slow viewer sees the latest images.
              return try SocketChannel.Socket(
                wrappingChannelSynchronously: channel,
                configuration: .init(
                  backPressureStrategy: .init(lowWatermark: 1, highWatermark: 2)))
            }
          }
          // Waiting for the handshake cannot be cancelled.
          let deadline = channel.eventLoop.scheduleTask(in: Self.connectTime) {
            channel.close(promise: nil)
          }
          var configuration = NIOUpgradableHTTPClientPipelineConfiguration(
            upgradeConfiguration: NIOTypedHTTPClientUpgradeConfiguration(
              upgradeRequestHead: head, upgraders: [upgrader]
            ) { channel in
              channel.close(promise: nil)
              return channel.eventLoop.makeSucceededFuture(nil)
            })
          // The first messages may arrive with the answer.
          configuration.leftOverBytesStrategy = .forwardBytes
          let upgraded = try channel.pipeline.syncOperations.configureUpgradableHTTPClientPipeline(
            configuration: configuration)
          upgraded.whenComplete { _ in deadline.cancel() }
          return upgraded
        }
      }
      guard let socket = try await opened.get() else { throw Self.unreachable }
      return socket
    }
  }

  // MARK: - Connections

  /// Connections notice a host that has vanished within about half a minute.
  private static var bootstrap: ClientBootstrap {
    let plain = ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .channelOption(.tcpOption(.tcp_nodelay), value: 1)
      .channelOption(.socketOption(.so_keepalive), value: 1)
      .connectTimeout(connectTime)
    #if os(Linux)
      // The kernel's numbers: idle time, interval and count of probes; time for unacknowledged data
      // in milliseconds.
      return [(4, 10), (5, 5), (6, 3), (18, 25_000)].reduce(plain) { bootstrap, option in
        bootstrap.channelOption(
          .tcpOption(NIOBSDSocket.Option(rawValue: option.0)), value: SocketOptionValue(option.1))
      }
    #else
      return plain
    #endif
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

  /// The error for a worker that does not answer, or not to the end.
  static let unreachable = ServerError(
    .badGateway, "worker_unreachable",
    "the worker of this stream does not answer; create a new stream")
}

/// Closes a connection whose worker sends nothing.
private final class SilentWorkerHandler: ChannelInboundHandler {
  typealias InboundIn = WebSocketFrame
  typealias InboundOut = WebSocketFrame

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if event is IdleStateHandler.IdleStateEvent { context.close(promise: nil) }
    context.fireUserInboundEventTriggered(event)
  }
}
