internal import FlowCore
internal import HTTPTypes
internal import Hummingbird
internal import NIOCore
internal import StreamFlow

/// `/v1/streams`: image-to-image for frames as they arrive.
struct StreamRoutes: Sendable {
  let registry: StreamRegistry
  let limits: ServerLimits
  /// Whether requests come from gateways.
  let servesGateways: Bool

  func add(to router: some RouterMethods<ServerContext>) {
    router.post("v1/streams") { request, context in
      var request = request
      var fields = try await request.fields(limits, context)
      let given = servesGateways ? try LiveLimits(request) : nil
      let session = try await registry.open(
        &fields, model: given?.model, limits: given?.applied(to: limits) ?? limits)
      return Response.json(await session.report(), status: .created)
    }
    router.get("v1/streams/:id") { _, context in
      Response.json(await (try session(context)).report())
    }
    router.patch("v1/streams/:id") { request, context in
      var request = request
      var fields = try await request.fields(limits, context)
      let session = try session(context)
      let live = try LiveFields(&fields, limits: session.limits)
      try fields.checkAllRead()
      try await session.change(live)
      return Response.json(await session.report())
    }
    router.delete("v1/streams/:id") { _, context in
      try await registry.close(context.parameters.get("id") ?? "")
      return Response(status: .noContent)
    }
    router.put("v1/streams/:id/frames") { request, context in
      var request = request
      let session = try session(context)
      let bytes = try await request.bytes(upTo: limits.bodyByteCount, context)
      return try await Self.answer(session.offer(bytes))
    }
    router.get("v1/streams/:id/mjpeg") { request, context in
      try motion(of: try session(context), request)
    }
    // Upgraded requests do not reach this route; this is not a WebSocket.
    router.get("v1/streams/:id/socket") { request, context -> Response in
      _ = try session(context)
      throw SocketHandshake.refusal(of: request.headers)
    }
  }

  private func session(_ context: ServerContext) throws -> LiveSession {
    try registry.session(context.parameters.get("id") ?? "")
  }

  private struct Taken: Encodable {
    let index: Int
    let outcome: String
  }

  private static func answer(_ taken: (index: Int, decision: LiveDecision)) throws -> Response {
    switch taken.decision {
    case .admitted:
      return Response.json(Taken(index: taken.index, outcome: "admitted"), status: .accepted)
    case .dropped:
      return Response.json(Taken(index: taken.index, outcome: "dropped"), status: .accepted)
    case .skipped: return Response(status: .noContent)
    case .ended:
      throw ServerError(.gone, "ended", "the stream has ended; create a new one")
    }
  }

  /// A sequence of images in the format of network cameras (multipart/x-mixed-replace).
  private func motion(of session: LiveSession, _ request: Request) throws -> Response {
    let type = session.encoding.type
    let pictures = session.broadcaster.messages(depth: 2).compactMap { message -> ByteBuffer? in
      guard case .picture(_, let bytes) = message else { return nil }
      await session.touch()
      var buffer = ByteBuffer(
        string: "--frame\r\nContent-Type: \(type)\r\nContent-Length: \(bytes.count)\r\n\r\n")
      buffer.writeBytes(bytes)
      buffer.writeString("\r\n")
      return buffer
    }
    return .ongoing(
      to: request, type: "multipart/x-mixed-replace; boundary=frame", pictures)
  }
}
