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
        channel.pipeline.syncOperations.removeHandler(name: UpgradeFilter.name, promise: nil)
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
    let upgrading = try channel.pipeline.syncOperations.handler(
      type: NIOTypedHTTPServerUpgradeHandler<Kind>.self)
    try channel.pipeline.syncOperations.addHandler(
      UpgradeFilter(sockets: sockets), name: UpgradeFilter.name, position: .before(upgrading))
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

/// Takes the wish for a WebSocket out of requests that are not to have one: they are answered as
/// HTTP, with the reason.
private final class UpgradeFilter: ChannelInboundHandler, RemovableChannelHandler {
  typealias InboundIn = HTTPServerRequestPart
  typealias InboundOut = HTTPServerRequestPart

  static let name = "upgrade filter"
  private let sockets: StreamSockets

  init(sockets: StreamSockets) { self.sockets = sockets }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    guard case .head(var head) = unwrapInboundIn(data), head.headers.contains(name: "upgrade"),
      sockets.headers(for: head) == nil
    else { return context.fireChannelRead(data) }
    head.headers.remove(name: "upgrade")
    context.fireChannelRead(wrapInboundOut(.head(head)))
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
