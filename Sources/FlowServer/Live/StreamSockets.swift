internal import HTTPTypes
internal import Hummingbird
internal import Logging
internal import NIOCore
internal import NIOHTTP1
internal import NIOHTTPTypesHTTP1
internal import NIOWebSocket

/// The WebSockets of live streams: frames in, images out, JSON in both directions.
struct StreamSockets: Sendable {
  let registry: StreamRegistry
  let gate: GateMiddleware
  let limits: ServerLimits

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
      registry.has(stream),
      let request = try? HTTPRequest(head, secure: false, splitCookie: false)
    else { return nil }
    let offered = head.headers[canonicalForm: "sec-websocket-protocol"].map(String.init)
    // A page cannot set headers on a WebSocket; it sends its token as a subprotocol.
    let isAllowed = try? gate.admit(
      request, from: remote, subprotocols: offered.joined(separator: ","))
    guard isAllowed != nil else { return nil }
    return offered.contains("streamflow") ? ["Sec-WebSocket-Protocol": "streamflow"] : [:]
  }

  /// Serves a client until either side ends.
  func serve(_ channel: SocketChannel.Socket, stream: String, logger: Logger) async {
    guard let session = try? registry.session(stream) else {
      try? await channel.channel.close()
      return
    }
    let messages = session.broadcaster.messages(depth: 32)
    do {
      try await channel.executeThenClose { inbound, outbound in
        try await withThrowingTaskGroup(of: Void.self) { group in
          group.addTask { try await Self.talk(messages, outbound) }
          group.addTask { try await listen(to: inbound, outbound, session) }
          // Pings detect clients that disconnected silently.
          group.addTask {
            while true {
              try await Task.sleep(for: limits.writeTime / 2)
              try await outbound.write(WebSocketFrame(fin: true, opcode: .ping, data: ByteBuffer()))
            }
          }
          try await group.next()
          group.cancelAll()
        }
      }
    } catch { logger.debug("socket ended", metadata: ["error": "\(error)"]) }
  }

  private typealias Outbound = NIOAsyncChannelOutboundWriter<WebSocketFrame>

  private static func talk(
    _ messages: AsyncStream<FrameBroadcaster.Message>, _ outbound: Outbound
  ) async throws {
    for await message in messages {
      switch message {
      case .text(let line): try await outbound.write(frame(line))
      case .picture(let line, let bytes):
        try await outbound.write(frame(line))
        try await outbound.write(
          WebSocketFrame(fin: true, opcode: .binary, data: ByteBuffer(bytes: bytes)))
      }
    }
    try await close(outbound, .goingAway)
  }

  private static func frame(_ text: String) -> WebSocketFrame {
    WebSocketFrame(fin: true, opcode: .text, data: ByteBuffer(string: text))
  }

  private static func close(_ outbound: Outbound, _ code: WebSocketErrorCode) async throws {
    var data = ByteBuffer()
    data.write(webSocketErrorCode: code)
    try await outbound.write(WebSocketFrame(fin: true, opcode: .connectionClose, data: data))
  }

  private struct ErrorLine: Encodable {
    let type = "error"
    let error: ErrorBody.Content
  }

  private func listen(
    to inbound: NIOAsyncChannelInboundStream<WebSocketFrame>, _ outbound: Outbound,
    _ session: LiveSession
  ) async throws {
    for try await frame in inbound {
      let data = frame.unmaskedData
      switch frame.opcode {
      case .binary, .text:
        do {
          if frame.opcode == .binary {
            try await session.send(Array(data.readableBytesView))
          } else {
            guard String(validating: data.readableBytesView, as: UTF8.self) != nil else {
              try await Self.close(outbound, .dataInconsistentWithMessage)
              return
            }
            var fields = try RequestFields(
              json: data.readableBytesView, limits: limits.json)
            let live = try LiveFields(&fields, limits: limits)
            try fields.checkAllRead()
            try await session.change(live)
          }
        } catch {
          let body = ServerError(error).body.error
          try await outbound.write(Self.frame(JSONWire.text(of: ErrorLine(error: body))))
        }
      case .ping:
        try await outbound.write(WebSocketFrame(fin: true, opcode: .pong, data: data))
      case .connectionClose:
        try await Self.close(outbound, .normalClosure)
        return
      default: break
      }
    }
  }
}
