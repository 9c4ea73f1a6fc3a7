internal import Foundation
internal import HTTPTypes
internal import Hummingbird
internal import NIOCore

/// JSON as the server writes it.
enum JSONWire {
  static func text(of value: some Encodable) -> String {
    String(decoding: data(of: value), as: UTF8.self)
  }

  static func data(of value: some Encodable) -> Data {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    encoder.keyEncodingStrategy = .convertToSnakeCase
    encoder.nonConformingFloatEncodingStrategy = .convertToString(
      positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    // What the server writes are its own plain values, all of which can be written.
    return (try? encoder.encode(value)) ?? Data("{}".utf8)
  }
}

extension Response {
  /// An answer in JSON.
  static func json(_ value: some Encodable, status: HTTPResponse.Status = .ok) -> Response {
    Response(
      status: status,
      headers: [.contentType: "application/json", .cacheControl: "no-store"],
      body: ResponseBody(byteBuffer: ByteBuffer(bytes: JSONWire.data(of: value))))
  }

  /// An answer of bytes.
  static func bytes(_ bytes: [UInt8], type: String, caching: String = "no-store") -> Response {
    Response(
      status: .ok, headers: [.contentType: type, .cacheControl: caching],
      body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes)))
  }
}
