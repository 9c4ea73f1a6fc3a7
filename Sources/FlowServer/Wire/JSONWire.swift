internal import Foundation
internal import HTTPTypes
internal import Hummingbird
internal import NIOCore

/// JSON in responses.
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
    // Responses are simple values, which can always be encoded.
    return (try? encoder.encode(value)) ?? Data("{}".utf8)
  }
}

extension Response {
  /// A JSON response.
  static func json(_ value: some Encodable, status: HTTPResponse.Status = .ok) -> Response {
    Response(
      status: status,
      headers: [.contentType: "application/json", .cacheControl: "no-store"],
      body: ResponseBody(byteBuffer: ByteBuffer(bytes: JSONWire.data(of: value))))
  }

  /// A response of bytes.
  static func bytes(_ bytes: [UInt8], type: String, caching: String = "no-store") -> Response {
    Response(
      status: .ok, headers: [.contentType: type, .cacheControl: caching],
      body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes)))
  }
}
