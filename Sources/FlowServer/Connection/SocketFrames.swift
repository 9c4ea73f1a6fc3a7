internal import NIOCore
internal import NIOWebSocket

/// Rejects WebSocket frames that a client must not send (RFC 6455, sections 5.1 and 5.2).
final class FrameCheckHandler: ChannelInboundHandler {
  typealias InboundIn = WebSocketFrame
  typealias InboundOut = WebSocketFrame

  private var isEnding = false

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    guard !isEnding else { return }
    let frame = unwrapInboundIn(data)
    guard frame.maskKey != nil, !frame.rsv1, !frame.rsv2, !frame.rsv3, Self.isKnown(frame.opcode)
    else {
      isEnding = true
      return context.closeSocket(.protocolError)
    }
    context.fireChannelRead(data)
  }

  private static func isKnown(_ opcode: WebSocketOpcode) -> Bool {
    switch opcode {
    case .continuation, .text, .binary, .connectionClose, .ping, .pong: true
    default: false
    }
  }
}

/// Drops frames after a close frame: none may follow it (RFC 6455, section 5.5.1), and images are
/// written by another task than the one that answers the client's close frame.
final class CloseFrameHandler: ChannelOutboundHandler {
  typealias OutboundIn = WebSocketFrame
  typealias OutboundOut = WebSocketFrame

  private var isClosed = false

  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    guard !isClosed else {
      promise?.succeed()
      return
    }
    isClosed = unwrapOutboundIn(data).opcode == .connectionClose
    context.write(data, promise: promise)
  }
}

/// Closes a WebSocket after a protocol error or an oversized message, with the matching code.
final class FrameErrorHandler: ChannelInboundHandler {
  typealias InboundIn = WebSocketFrame
  typealias InboundOut = WebSocketFrame

  private var isEnding = false

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    // Data after an invalid frame cannot be interpreted.
    guard !isEnding else { return }
    guard let code = Self.code(of: error) else { return context.fireErrorCaught(error) }
    isEnding = true
    context.closeSocket(code)
  }

  private static func code(of error: any Error) -> WebSocketErrorCode? {
    switch error {
    case NIOWebSocketError.invalidFrameLength,
      NIOWebSocketFrameAggregator.Error.accumulatedFrameSizeIsTooLarge,
      NIOWebSocketFrameAggregator.Error.tooManyFragments:
      .messageTooLarge
    case is NIOWebSocketError, is NIOWebSocketFrameAggregator.Error: .protocolError
    default: nil
    }
  }
}

extension ChannelHandlerContext {
  /// Sends the close code, and closes the connection.
  fileprivate func closeSocket(_ code: WebSocketErrorCode) {
    var data = channel.allocator.buffer(capacity: 2)
    data.write(webSocketErrorCode: code)
    let frame = WebSocketFrame(fin: true, opcode: .connectionClose, data: data)
    writeAndFlush(NIOAny(frame)).assumeIsolated().whenComplete { _ in
      self.triggerUserOutboundEvent(LingeringCloseHandler.Begin(), promise: nil)
    }
  }
}
