internal import NIOCore

/// Closes a connection so that its last response arrives.
///
/// Closing a socket with unread data resets the connection, and the client loses the response.
/// Therefore the sending side is closed first, and further input is discarded until the client
/// closes its side or a time limit expires.
final class LingeringCloseHandler: ChannelDuplexHandler {
  typealias InboundIn = ByteBuffer
  typealias InboundOut = ByteBuffer
  typealias OutboundIn = IOData
  typealias OutboundOut = IOData

  /// Triggered outbound after the last response was written to the socket.
  struct Begin: Sendable {}

  private let limit: TimeAmount
  private var timer: Scheduled<Void>?
  private var isLingering = false
  private var isInputClosed = false

  init(limit: TimeAmount) { self.limit = limit }

  func triggerUserOutboundEvent(
    context: ChannelHandlerContext, event: Any, promise: EventLoopPromise<Void>?
  ) {
    guard event is Begin else {
      return context.triggerUserOutboundEvent(event, promise: promise)
    }
    promise?.succeed()
    guard !isLingering else { return }
    guard !isInputClosed else { return context.close(promise: nil) }
    isLingering = true
    context.close(mode: .output, promise: nil)
    timer = context.eventLoop.assumeIsolated().scheduleTask(in: limit) {
      context.close(promise: nil)
    }
    context.read()
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    if !isLingering { context.fireChannelRead(data) }
  }

  func channelReadComplete(context: ChannelHandlerContext) {
    if isLingering { context.read() } else { context.fireChannelReadComplete() }
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if let event = event as? ChannelEvent, event == .inputClosed {
      isInputClosed = true
      if isLingering { return context.close(promise: nil) }
    }
    context.fireUserInboundEventTriggered(event)
  }

  func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
    guard isLingering else { return context.close(mode: mode, promise: promise) }
    // The connection closes soon.
    if let promise { context.channel.closeFuture.cascade(to: promise) }
  }

  func channelInactive(context: ChannelHandlerContext) {
    timer?.cancel()
    context.fireChannelInactive()
  }

  func handlerRemoved(context: ChannelHandlerContext) { timer?.cancel() }
}
