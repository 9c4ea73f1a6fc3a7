internal import NIOCore
internal import NIOWebSocket

/// The messages of a live stream's WebSocket to its client.
extension NIOAsyncChannelOutboundWriter<WebSocketFrame> {
  private struct ErrorLine: Encodable {
    let type = "error"
    let error: ErrorBody.Content
  }

  /// Sends a line of JSON.
  func send(_ line: String) async throws {
    try await write(WebSocketFrame(fin: true, opcode: .text, data: ByteBuffer(string: line)))
  }

  /// Sends an error as a line of JSON.
  func send(_ error: ServerError) async throws {
    try await send(JSONWire.text(of: ErrorLine(error: error.body.error)))
  }

  /// Answers a ping.
  func answer(ping data: ByteBuffer) async throws {
    try await write(WebSocketFrame(fin: true, opcode: .pong, data: data))
  }

  /// Sends pings, which detect clients that disconnected silently, until the task is cancelled.
  func ping(every interval: Duration) async throws {
    while true {
      try await Task.sleep(for: interval)
      try await write(WebSocketFrame(fin: true, opcode: .ping, data: ByteBuffer()))
    }
  }

  /// Sends a close frame.
  func close(_ code: WebSocketErrorCode) async throws {
    var data = ByteBuffer()
    data.write(webSocketErrorCode: code)
    try await write(WebSocketFrame(fin: true, opcode: .connectionClose, data: data))
  }
}
