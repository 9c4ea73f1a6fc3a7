internal import Logging
internal import NIOCore
internal import NIOWebSocket

/// A client's WebSocket and a worker's: the messages of each are sent to the other.
///
/// A slow side slows the other one down, so the worker leaves out images for slow viewers.
struct SocketRelay: Sendable {
  let client: SocketChannel.Socket
  let worker: SocketChannel.Socket
  /// The interval of pings, which detect clients that disconnected silently.
  let pingTime: Duration
  /// Ends the client's socket.
  let stop: StopSignal

  private typealias Inbound = NIOAsyncChannelInboundStream<WebSocketFrame>
  private typealias Outbound = NIOAsyncChannelOutboundWriter<WebSocketFrame>

  /// Relays until either side ends.
  func run(logger: Logger) async {
    let (pingTime, stop) = (pingTime, stop)
    do {
      try await client.executeThenClose { fromClient, toClient in
        try await worker.executeThenClose { fromWorker, toWorker in
          try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
              try await Self.relay(client: fromClient, to: toWorker, answering: toClient)
            }
            group.addTask {
              try await Self.relay(worker: fromWorker, to: toClient, answering: toWorker)
            }
            group.addTask { try await toClient.ping(every: pingTime) }
            group.addTask {
              await stop.wait()
              try Task.checkCancellation()
              try await toClient.close(.goingAway)
            }
            try await group.next()
            group.cancelAll()
          }
        }
      }
    } catch { logger.debug("relayed socket ended", metadata: ["error": "\(error)"]) }
  }

  /// Sends a client's messages to its worker.
  private static func relay(
    client: Inbound, to worker: Outbound, answering answers: Outbound
  ) async throws {
    for try await frame in client {
      switch frame.opcode {
      case .ping: try await answers.answer(ping: frame.unmaskedData)
      case .connectionClose:
        try await answers.close(.normalClosure)
        try? await worker.write(masked(.connectionClose, frame.unmaskedData))
        return
      case .binary, .text:
        do { try await worker.write(masked(frame.opcode, frame.unmaskedData)) } catch {
          return try await end(answers)
        }
      default: break
      }
    }
  }

  /// Sends a worker's messages to its client.
  private static func relay(
    worker: Inbound, to client: Outbound, answering answers: Outbound
  ) async throws {
    var frames = worker.makeAsyncIterator()
    while let frame = try? await frames.next() {
      switch frame.opcode {
      case .ping: try? await answers.write(masked(.pong, frame.data))
      case .connectionClose:
        try await client.write(
          WebSocketFrame(fin: true, opcode: .connectionClose, data: frame.data))
        return
      case .binary, .text, .continuation:
        try await client.write(
          WebSocketFrame(fin: frame.fin, opcode: frame.opcode, data: frame.data))
      default: break
      }
    }
    // Closed without a close frame: the worker's process or host is gone.
    try await end(client)
  }

  /// Ends a client's socket whose worker is gone.
  private static func end(_ client: Outbound) async throws {
    try Task.checkCancellation()
    try await client.send(LiveConnection.unreachable)
    try await client.close(.goingAway)
  }

  /// Sends a client the error that ends its socket, and closes it.
  static func refuse(_ client: SocketChannel.Socket, _ error: ServerError) async {
    try? await client.executeThenClose { _, outbound in
      try await outbound.send(error)
      try await outbound.close(.goingAway)
    }
  }

  /// Clients of a WebSocket mask what they send (RFC 6455, section 5.3).
  private static func masked(_ opcode: WebSocketOpcode, _ data: ByteBuffer) -> WebSocketFrame {
    WebSocketFrame(fin: true, opcode: opcode, maskKey: .random(), data: data)
  }
}
