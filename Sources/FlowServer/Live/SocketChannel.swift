internal import HTTPTypes
internal import Hummingbird
internal import HummingbirdCore
internal import Logging
internal import NIOCore
internal import NIOHTTP1
internal import NIOHTTPTypes
internal import NIOHTTPTypesHTTP1
internal import NIOWebSocket

/// A connection: HTTP, or a WebSocket where its first request asks for one.
struct SocketChannel: ServerChildChannel {
  typealias HTTP = NIOAsyncChannel<HTTPRequestPart, HTTPResponsePart>
  typealias Socket = NIOAsyncChannel<WebSocketFrame, WebSocketFrame>

  /// What a connection turned out to be.
  enum Kind: Sendable {
    case http(HTTP)
    case socket(Socket, stream: String)
    /// Closed before it said anything.
    case nothing
  }

  /// A connection whose first request is awaited.
  struct Value: ServerChildChannelValue {
    let kind: EventLoopFuture<Kind>
    let channel: any Channel
  }

  let http: HTTPHandler
  let sockets: StreamSockets
  let limits: ServerLimits

  /// Answers HTTP requests, as Hummingbird does it.
  struct HTTPHandler: HTTPChannelHandler {
    let responder: HTTPChannelHandler.Responder

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<SocketChannel.HTTP> {
      channel.eventLoop.makeCompletedFuture {
        try SocketChannel.HTTP(
          wrappingChannelSynchronously: channel,
          configuration: .init(isOutboundHalfClosureEnabled: true))
      }
    }

    func handle(value: SocketChannel.HTTP, logger: Logger) async {
      await handleHTTP(asyncChannel: value, logger: logger)
    }
  }

  func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
    channel.eventLoop.makeCompletedFuture {
      let silence = SilenceHandler()
      try channel.pipeline.syncOperations.addHandler(silence, name: SilenceHandler.name)
      let kind = try configure(channel, logger: logger)
      // Who connects and says nothing is not waited for long.
      let deadline = channel.eventLoop.scheduleTask(
        in: TimeAmount(limits.readTime)
      ) { channel.close(promise: nil) }
      kind.whenComplete { _ in
        deadline.cancel()
        channel.pipeline.syncOperations.removeHandler(name: SilenceHandler.name, promise: nil)
      }
      return Value(kind: kind, channel: channel)
    }
  }

  private func configure(
    _ channel: any Channel, logger: Logger
  ) throws -> EventLoopFuture<Kind> {
    let limits = limits
    let (sockets, http) = (sockets, http)
    let upgrader = NIOTypedWebSocketServerUpgrader<Kind>(
      maxFrameSize: limits.socketMessageByteCount
    ) { channel, head in
      channel.eventLoop.makeSucceededFuture(sockets.headers(for: head))
    } upgradePipelineHandler: { channel, head in
      channel.eventLoop.makeCompletedFuture {
        channel.pipeline.syncOperations.removeHandler(name: RequestFilter.name, promise: nil)
        try channel.pipeline.syncOperations.addHandler(
          NIOWebSocketFrameAggregator(
            minNonFinalFragmentSize: 1, maxAccumulatedFrameCount: 1024,
            maxAccumulatedFrameSize: limits.socketMessageByteCount))
        let socket = try Socket(wrappingChannelSynchronously: channel)
        return .socket(socket, stream: StreamSockets.stream(of: head.uri) ?? "")
      }
    }
    var decoding = NIOHTTPDecoderLimitConfiguration()
    decoding.maxHeaderListSize = limits.headerByteCount
    decoding.maxHeaderFieldSize = limits.headerByteCount
    decoding.maxHeaderFieldCount = 100
    var configuration = NIOUpgradableHTTPServerPipelineConfiguration<Kind>(
      upgradeConfiguration: .init(upgraders: [upgrader]) { channel in
        channel.eventLoop.makeCompletedFuture {
          let pipeline = channel.pipeline.syncOperations
          try pipeline.addHandler(HTTP1ToHTTPServerCodec(secure: false))
          try pipeline.addHandler(
            HTTPConnectionStateHandler(idleTimeout: limits.idleTime, logger: logger))
        }.flatMap { http.setup(channel: channel, logger: logger) }.map(Kind.http)
      })
    configuration.enablePipelining = false
    configuration.enableResponseHeaderValidation = false
    configuration.decoderConfiguration = decoding
    try channel.pipeline.syncOperations.addHandler(
      WriteDeadlineHandler(limit: TimeAmount(limits.writeTime)))
    let kind = try channel.pipeline.syncOperations.configureUpgradableHTTPServerPipeline(
      configuration: configuration)
    let errors = try channel.pipeline.syncOperations.handler(
      type: HTTPServerProtocolErrorHandler.self)
    try channel.pipeline.syncOperations.addHandler(
      RequestFilter(sockets: sockets, limits: limits), name: RequestFilter.name,
      position: .before(errors))
    return kind
  }

  func handle(value: Value, logger: Logger) async {
    let kind = (try? await value.kind.get()) ?? .nothing
    switch kind {
    case .http(let channel): await http.handle(value: channel, logger: logger)
    case .socket(let channel, let stream):
      await sockets.serve(channel, stream: stream, logger: logger)
    case .nothing: try? await value.channel.close()
    }
  }
}

/// What is done with requests before they are one or the other.
///
/// The wish for a WebSocket is taken out of those that are not to have one: they are answered as
/// HTTP, with the reason. Headers that are too large have a status of their own.
private final class RequestFilter: ChannelDuplexHandler, RemovableChannelHandler {
  typealias InboundIn = HTTPServerRequestPart
  typealias InboundOut = HTTPServerRequestPart
  typealias OutboundIn = HTTPServerResponsePart
  typealias OutboundOut = HTTPServerResponsePart

  static let name = "request filter"
  private let sockets: StreamSockets
  private let limits: ServerLimits
  private var isAnswering = false

  init(sockets: StreamSockets, limits: ServerLimits) {
    self.sockets = sockets
    self.limits = limits
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    guard case .head(var head) = unwrapInboundIn(data), head.headers.contains(name: "upgrade"),
      sockets.headers(for: head) == nil
    else { return context.fireChannelRead(data) }
    head.headers.remove(name: "upgrade")
    context.fireChannelRead(wrapInboundOut(.head(head)))
  }

  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    switch unwrapOutboundIn(data) {
    case .head(let head): isAnswering = head.status.code >= 200
    case .end: isAnswering = false
    case .body: break
    }
    context.write(data, promise: promise)
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    guard case HTTPParserError.headerOverflow = error, !isAnswering else {
      return context.fireErrorCaught(error)
    }
    let failure = ServerError(
      .requestHeaderFieldsTooLarge, "headers_too_large",
      "a request's headers are \(limits.headerByteCount) bytes at most")
    let body = ByteBuffer(bytes: JSONWire.data(of: failure.body))
    let head = HTTPResponseHead(
      version: .http1_1, status: .requestHeaderFieldsTooLarge,
      headers: [
        "Connection": "close", "Content-Type": "application/json",
        "Content-Length": "\(body.readableBytes)",
      ])
    // The decoder closes the connection after it.
    context.write(wrapOutboundOut(.head(head)), promise: nil)
    context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
    context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
  }
}

/// Closes a connection that has said nothing yet when the server stops.
private final class SilenceHandler: ChannelInboundHandler, RemovableChannelHandler {
  typealias InboundIn = ByteBuffer
  typealias InboundOut = ByteBuffer

  static let name = "silence"

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if event is ChannelShouldQuiesceEvent { context.close(promise: nil) }
    context.fireUserInboundEventTriggered(event)
  }
}

/// Closes a connection that takes nothing of what is written to it for too long.
final class WriteDeadlineHandler: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias InboundOut = ByteBuffer

  private let limit: TimeAmount
  private var deadline: Scheduled<Void>?

  init(limit: TimeAmount) { self.limit = limit }

  func channelWritabilityChanged(context: ChannelHandlerContext) {
    deadline?.cancel()
    deadline = nil
    if !context.channel.isWritable {
      let channel = context.channel
      deadline = context.eventLoop.scheduleTask(in: limit) { channel.close(promise: nil) }
    }
    context.fireChannelWritabilityChanged()
  }

  func handlerRemoved(context: ChannelHandlerContext) { deadline?.cancel() }
}
