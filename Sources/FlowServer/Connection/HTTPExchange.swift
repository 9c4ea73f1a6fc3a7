internal import NIOCore
internal import NIOHTTP1

/// A request that a route works on, and its answer.
struct HTTPExchange {
  /// Whether parts of the request are still to come.
  var isReceiving = true
  /// Whether the final answer has begun.
  var isAnswering = false
  /// Whether the rest of the request is discarded: it broke the protocol or took too long.
  var isFailed = false
  /// Whether the connection is closed after the answer.
  var closesAfterward: Bool
  /// Whether the client waits for leave to send its body.
  var awaitsContinue: Bool
  /// Whether the parser stops after the request: nothing more may be read, as it would pile up.
  let stopsParser: Bool
  /// Whether it becomes a WebSocket.
  let isUpgrade: Bool
  private let version: HTTPVersion

  init(_ head: HTTPRequestHead, isUpgrade: Bool) {
    self.isUpgrade = isUpgrade
    stopsParser = RequestFraming.stopsParser(head)
    version = head.version
    awaitsContinue = RequestFraming.awaitsContinue(head)
    closesAfterward = !head.isKeepAlive || head.version.isBefore1_1 || stopsParser && !isUpgrade
  }

  /// The head of the answer as it is written.
  mutating func begin(_ answer: HTTPResponseHead, isQuiescing: Bool) -> HTTPResponseHead {
    var answer = answer
    isAnswering = true
    awaitsContinue = false
    let closes = answer.headers[canonicalForm: "connection"].contains { $0.lowercased() == "close" }
    // The rest of a body that nobody reads would be taken for the next request.
    if isReceiving || isQuiescing || closes { closesAfterward = true }
    if closesAfterward { answer.headers.replaceOrAdd(name: "Connection", value: "close") }
    // Chunks are unknown to HTTP/1.0: the end of the connection is the end of the body.
    if version.isBefore1_1 { answer.version = .http1_0 }
    return answer
  }
}
