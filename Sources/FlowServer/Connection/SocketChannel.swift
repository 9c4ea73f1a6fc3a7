internal import HTTPTypes
internal import Hummingbird
internal import HummingbirdCore
internal import Logging
internal import NIOCore
internal import NIOHTTP1
internal import NIOHTTPTypes
internal import NIOHTTPTypesHTTP1
internal import NIOWebSocket

/// A connection: HTTP, or a WebSocket if its first request asks for one.
struct SocketChannel: ServerChildChannel {
  typealias HTTP = NIOAsyncChannel<HTTPRequestPart, HTTPResponsePart>
  typealias Socket = NIOAsyncChannel<WebSocketFrame, WebSocketFrame>

  /// The kind of a connection.
  enum Kind: Sendable {
    case http(HTTP)
    case socket(Socket, stream: String)
    /// Closed before it sent anything.
    case nothing
  }

  /// A connection before its first request.
  struct Value: ServerChildChannelValue {
    let kind: EventLoopFuture<Kind>
    let channel: any Channel
  }

  let http: HTTPHandler
  let sockets: StreamSockets
  let rules: HTTPExchangeHandler.Rules
  let connections: ConnectionCounts
  private var limits: ServerLimits { rules.limits }

  /// Serves HTTP requests with Hummingbird.
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
    guard let place = connections.enter(channel.remoteAddress?.ipAddress) else {
      rules.didRefuse(ConnectionCounts.refusal)
      return channel.eventLoop.makeCompletedFuture {
        try channel.pipeline.syncOperations.addHandler(RefusingHandler())
        return Value(kind: channel.closeFuture.map { .nothing }, channel: channel)
      }
    }
    let connections = connections
    channel.closeFuture.whenComplete { _ in connections.leave(place) }
    return channel.eventLoop.makeCompletedFuture {
      let silence = SilenceHandler()
      try channel.pipeline.syncOperations.addHandler(silence, name: SilenceHandler.name)
      let kind = try configure(channel, logger: logger)
      // Silent connections are closed after a short time.
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
    let (limits, rules, sockets, http) = (limits, rules, sockets, http)
    let upgrader = NIOTypedWebSocketServerUpgrader<Kind>(
      maxFrameSize: limits.socketMessageByteCount, enableAutomaticErrorHandling: false
    ) { channel, head in
      channel.eventLoop.makeSucceededFuture(
        sockets.headers(for: head, from: channel.remoteAddress?.ipAddress))
    } upgradePipelineHandler: { channel, head in
      channel.eventLoop.makeCompletedFuture {
        channel.pipeline.syncOperations.removeHandler(name: HTTPExchangeHandler.name, promise: nil)
        try channel.pipeline.syncOperations.addHandlers([
          CloseFrameHandler(),
          FrameCheckHandler(),
          NIOWebSocketFrameAggregator(
            minNonFinalFragmentSize: 1, maxAccumulatedFrameCount: 1024,
            maxAccumulatedFrameSize: limits.socketMessageByteCount),
          FrameErrorHandler(),
        ])
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
    configuration.enableErrorHandling = false
    configuration.decoderConfiguration = decoding
    let pipeline = channel.pipeline.syncOperations
    try pipeline.addHandler(LingeringCloseHandler(limit: TimeAmount(limits.lingerTime)))
    try pipeline.addHandler(WriteDeadlineHandler(limit: TimeAmount(limits.writeTime)))
    let kind = try pipeline.configureUpgradableHTTPServerPipeline(configuration: configuration)
    let upgrade = try pipeline.handler(type: NIOTypedHTTPServerUpgradeHandler<Kind>.self)
    try pipeline.addHandler(
      HTTPExchangeHandler(rules: rules), name: HTTPExchangeHandler.name, position: .before(upgrade))
    return kind
  }

  func handle(value: Value, logger: Logger) async {
    let kind = (try? await value.kind.get()) ?? .nothing
    switch kind {
    case .http(let channel): await http.handle(value: channel, logger: logger)
    case .socket(let channel, let stream):
      await sockets.streams.serve(channel, stream: stream, logger: logger)
    case .nothing: try? await value.channel.close()
    }
  }
}

/// Closes a connection that has not sent anything when the server stops.
private final class SilenceHandler: ChannelInboundHandler, RemovableChannelHandler {
  typealias InboundIn = ByteBuffer
  typealias InboundOut = ByteBuffer

  static let name = "silence"

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if event is ChannelShouldQuiesceEvent { context.close(promise: nil) }
    context.fireUserInboundEventTriggered(event)
  }
}
