internal import Logging
internal import NIOCore
internal import NIOWebSocket

/// The WebSocket of a live stream: frames in, images out, JSON in both directions.
struct SessionSocket: Sendable {
  let session: LiveSession

  /// Serves a client until either side ends.
  func serve(_ channel: SocketChannel.Socket, logger: Logger) async {
    let messages = session.broadcaster.messages(depth: 32)
    do {
      try await channel.executeThenClose { inbound, outbound in
        try await withThrowingTaskGroup(of: Void.self) { group in
          group.addTask { try await Self.talk(messages, outbound) }
          group.addTask { try await listen(to: inbound, outbound) }
          group.addTask { try await outbound.ping(every: session.limits.writeTime / 2) }
          try await group.next()
          group.cancelAll()
        }
      }
    } catch { logger.debug("socket ended", metadata: ["error": "\(error)"]) }
  }

  private typealias Outbound = NIOAsyncChannelOutboundWriter<WebSocketFrame>

  private static func talk(
    _ messages: AsyncStream<FrameBroadcaster.Message>, _ outbound: Outbound
  ) async throws {
    for await message in messages {
      switch message {
      case .text(let line): try await outbound.send(line)
      case .picture(let line, let bytes):
        try await outbound.send(line)
        try await outbound.write(
          WebSocketFrame(fin: true, opcode: .binary, data: ByteBuffer(bytes: bytes)))
      }
    }
    try await outbound.close(.goingAway)
  }

  private func listen(
    to inbound: NIOAsyncChannelInboundStream<WebSocketFrame>, _ outbound: Outbound
  ) async throws {
    for try await frame in inbound {
      let data = frame.unmaskedData
      switch frame.opcode {
      case .binary, .text:
        do {
          if frame.opcode == .binary {
            try await session.send(Array(data.readableBytesView))
          } else {
            guard String(validating: data.readableBytesView, as: UTF8.self) != nil else {
              try await outbound.close(.dataInconsistentWithMessage)
              return
            }
            var fields = try RequestFields(
              json: data.readableBytesView, limits: session.limits.json)
            let live = try LiveFields(&fields, limits: session.limits)
            try fields.checkAllRead()
            try await session.change(live)
          }
        } catch { try await outbound.send(ServerError(error)) }
      case .ping: try await outbound.answer(ping: data)
      case .connectionClose:
        try await outbound.close(.normalClosure)
        return
      default: break
      }
    }
  }
}
