internal import HTTPTypes
internal import Hummingbird
internal import NIOCore
internal import NIOHTTP1

/// Rules of RFC 9112 that the parser does not enforce: messages that two parsers could interpret
/// differently are rejected.
enum RequestFraming {
  /// The reason to reject a request before it reaches a route; nil if it is well framed.
  static func refusal(of head: HTTPRequestHead) -> ServerError? {
    let isOld = head.version.isBefore1_1
    let hosts = head.headers["host"].count
    guard hosts == 1 || hosts == 0 && isOld else {
      return ServerError(
        .badRequest, "host_invalid",
        "a request must have exactly one Host header, got \(hosts)")
    }
    if head.headers.contains(name: "transfer-encoding") {
      guard !isOld else {
        return ServerError(
          .badRequest, "bad_request",
          "HTTP/1.0 has no Transfer-Encoding; use HTTP/1.1 or Content-Length")
      }
      let codings = head.headers[canonicalForm: "transfer-encoding"].map { $0.lowercased() }
      guard codings == ["chunked"] else {
        return ServerError(
          .notImplemented, "transfer_encoding_unsupported",
          "the only Transfer-Encoding supported is 'chunked'; send the body without another")
      }
    }
    let expectations = isOld ? [] : head.headers[canonicalForm: "expect"].map { $0.lowercased() }
    guard expectations.allSatisfy({ $0 == "100-continue" }) else {
      return ServerError(
        .expectationFailed, "expectation_failed",
        "the only expectation supported is '100-continue'; remove the header Expect")
    }
    return nil
  }

  /// The response to a protocol error.
  static func refusal(of error: HTTPParserError, limits: ServerLimits) -> ServerError {
    guard case .headerOverflow = error else {
      return ServerError(.badRequest, "bad_request", "the request is not valid HTTP/1.1")
    }
    return ServerError(
      .requestHeaderFieldsTooLarge, "headers_too_large",
      "the headers of a request are limited to \(limits.headerByteCount) bytes")
  }

  /// Whether a client waits for `100 Continue` before it sends the body.
  static func awaitsContinue(_ head: HTTPRequestHead) -> Bool {
    !head.version.isBefore1_1 && head.headers.contains(name: "expect")
  }

  /// Whether the parser stops because the data after the request belongs to another protocol.
  static func stopsParser(_ head: HTTPRequestHead) -> Bool {
    head.method == .CONNECT || head.headers.contains(name: "upgrade")
  }
}

extension HTTPVersion {
  /// Whether it lacks persistent connections, chunks and interim responses.
  var isBefore1_1: Bool { major < 1 || major == 1 && minor < 1 }
}
