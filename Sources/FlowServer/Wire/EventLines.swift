internal import HTTPTypes
internal import Hummingbird
internal import NIOCore

/// Server-sent events (HTML Living Standard, section 9.2).
enum EventLines {
  static let type = "text/event-stream"

  /// An event with JSON data on one line.
  static func event(_ name: String, _ value: some Encodable) -> ByteBuffer {
    ByteBuffer(string: "event: \(name)\ndata: \(JSONWire.text(of: value))\n\n")
  }
}

extension Response {
  /// A response that continues until the stream ends or the client disconnects; the connection
  /// closes after it.
  static func ongoing(
    to request: Request, type: String, _ parts: some AsyncSequence<ByteBuffer, Never> & Sendable
  ) -> Response {
    Response(
      status: .ok,
      headers: [.contentType: type, .cacheControl: "no-store", .connection: "close"],
      body: ResponseBody { writer in
        try await request.body.consumeWithCancellationOnInboundClose { _ in
          for await part in parts { try await writer.write(part) }
        }
        try await writer.finish(nil)
      })
  }
}
