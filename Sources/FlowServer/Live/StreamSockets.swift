internal import HTTPTypes
internal import NIOHTTP1
internal import NIOHTTPTypesHTTP1

/// Which requests become WebSockets of live streams.
struct StreamSockets: Sendable {
  let streams: any LiveStreams
  let gate: GateMiddleware

  /// The stream of a socket's path.
  static func stream(of uri: String) -> String? {
    let path = uri.split(separator: "?", maxSplits: 1).first ?? ""
    let parts = path.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count == 5, parts[0].isEmpty, parts[1] == "v1", parts[2] == "streams",
      parts[4] == "socket"
    else { return nil }
    return String(parts[3])
  }

  /// The headers of an accepted upgrade; nil if the request must be answered over HTTP, with the
  /// reason.
  ///
  /// - Parameters:
  ///   - head: the request.
  ///   - remote: the client's address.
  func headers(for head: HTTPRequestHead, from remote: String?) -> HTTPHeaders? {
    guard SocketHandshake.isComplete(head), let stream = Self.stream(of: head.uri),
      streams.has(stream),
      let request = try? HTTPRequest(head, secure: false, splitCookie: false)
    else { return nil }
    let offered = head.headers[canonicalForm: "sec-websocket-protocol"].map(String.init)
    // A page cannot set headers on a WebSocket; it sends its token as a subprotocol.
    let isAllowed = try? gate.admit(
      request, from: remote, subprotocols: offered.joined(separator: ","))
    guard isAllowed != nil else { return nil }
    return offered.contains("streamflow") ? ["Sec-WebSocket-Protocol": "streamflow"] : [:]
  }
}
