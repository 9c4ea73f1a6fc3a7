internal import NIOCore
internal import NIOHTTP1

/// A request that a route handles, and its response.
struct HTTPExchange {
  /// Whether parts of the request are outstanding.
  var isReceiving = true
  /// Whether the final response has begun.
  var isAnswering = false
  /// Whether the rest of the request is discarded after a protocol error or a timeout.
  var isFailed = false
  /// Whether the connection closes after the response.
  var closesAfterward: Bool
  /// Whether the client waits for `100 Continue` before it sends the body.
  var awaitsContinue: Bool
  /// Whether the parser stops after the request; then reading must stop, to avoid buffering.
  let stopsParser: Bool
  /// Whether the request becomes a WebSocket.
  let isUpgrade: Bool
  private let version: HTTPVersion

  init(_ head: HTTPRequestHead, isUpgrade: Bool) {
    self.isUpgrade = isUpgrade
    stopsParser = RequestFraming.stopsParser(head)
    version = head.version
    awaitsContinue = RequestFraming.awaitsContinue(head)
    closesAfterward = !head.isKeepAlive || head.version.isBefore1_1 || stopsParser && !isUpgrade
  }

  /// The head of the response as it is sent.
  mutating func begin(_ answer: HTTPResponseHead, isQuiescing: Bool) -> HTTPResponseHead {
    var answer = answer
    isAnswering = true
    awaitsContinue = false
    let closes = answer.headers[canonicalForm: "connection"].contains { $0.lowercased() == "close" }
    // The rest of an unread body would be parsed as the next request.
    if isReceiving || isQuiescing || closes { closesAfterward = true }
    if closesAfterward { answer.headers.replaceOrAdd(name: "Connection", value: "close") }
    // HTTP/1.0 has no chunked encoding: the end of the connection is the end of the body.
    if version.isBefore1_1 { answer.version = .http1_0 }
    return answer
  }
}
