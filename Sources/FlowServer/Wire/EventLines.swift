internal import HTTPTypes
internal import Hummingbird
internal import NIOCore

/// Server-sent events (HTML Living Standard, section 9.2).
enum EventLines {
  static let headers: HTTPFields = [
    .contentType: "text/event-stream", .cacheControl: "no-store", .connection: "close",
  ]

  /// An event of a name, whose data is JSON on one line.
  static func event(_ name: String, _ value: some Encodable) -> ByteBuffer {
    ByteBuffer(string: "event: \(name)\ndata: \(JSONWire.text(of: value))\n\n")
  }
}
