internal import Foundation
internal import HTTPTypes
internal import Hummingbird
internal import Logging
internal import NIOCore
internal import NIOWebSocket
internal import Synchronization

/// The live streams of a gateway: each runs at a worker, and the gateway relays its requests and
/// frames.
struct RelayedStreams: LiveStreams {
  /// Nil where the service has no live streams.
  let placement: (any LivePlacement)?
  let limits: ServerLimits
  /// Ends what waits for a worker to open a stream.
  let stop: StopSignal
  /// Ends all relays.
  private let closing = StopSignal()
  private let openings = Openings()

  init(placement: (any LivePlacement)?, limits: ServerLimits, stop: StopSignal) {
    (self.placement, self.limits, self.stop) = (placement, limits, stop)
  }

  // MARK: - Routes

  func add(to router: Router<ServerContext>) {
    router.post("v1/streams") { request, context in try await open(request, context) }
    router.get("v1/streams/:id") { request, context in try await relay(request, context) }
    router.patch("v1/streams/:id") { request, context in try await relay(request, context) }
    router.delete("v1/streams/:id") { request, context in try await relay(request, context) }
    router.put("v1/streams/:id/frames") { request, context in try await relay(request, context) }
    router.get("v1/streams/:id/mjpeg") { request, context in
      let (connection, path) = try connection(context, "/mjpeg")
      // An error is answered as one, before the images begin.
      let found = try await connection.answer(
        .get, Self.path(context, ""), within: limits.requestTime)
      guard found.head.status == .ok else { return Self.response(found) }
      return Response(
        status: .ok,
        headers: [
          .contentType: "multipart/x-mixed-replace; boundary=frame", .cacheControl: "no-store",
          .connection: "close",
        ],
        body: ResponseBody { writer in
          var writer = writer
          try await request.body.consumeWithCancellationOnInboundClose { _ in
            try await connection.parts(of: path, until: closing) { try await writer.write($0) }
          }
          try await writer.finish(nil)
        })
    }
    // Upgraded requests do not reach this route; this is not a WebSocket.
    router.get("v1/streams/:id/socket") { request, context -> Response in
      _ = try connection(context, "")
      throw SocketHandshake.refusal(of: request.headers)
    }
  }

  /// Opens a stream at the worker with the fewest streams that has room for it.
  private func open(_ request: Request, _ context: ServerContext) async throws -> Response {
    var request = request
    var headers = headers(of: request)
    let bytes = try await request.jsonBytes(limits, context)
    guard !closing.isStopped else { throw ServerError.stopping }
    var fields = try RequestFields(json: bytes, limits: limits.json)
    let (model, hosts) = try await hosts(of: try fields.text("model", limit: 200))
    try openings.begin(streamCount(at: nil), limits)
    defer { openings.end() }
    headers[LiveLimits.header] = try LiveLimits(limits, model: model).text
    let (body, sent, stop) = (ByteBuffer(bytes: bytes), headers, stop)
    let deadline = ContinuousClock.now + limits.requestTime
    var failure: (any Error)?
    var refusal: LiveConnection.Answer?
    for host in ordered(hosts) where placement?.liveHost(named: host.worker) == host {
      openings.begin(at: host)
      defer { openings.end(at: host) }
      do {
        let answer = try await stop.unlessStopped {
          try await LiveConnection(host: host).answer(
            .post, "/v1/streams", headers: sent, body: body, within: deadline - .now)
        }
        if answer.head.status == .created { placement?.didOpen(at: host) }
        guard Self.mayFitElsewhere(answer.head.status) else { return Self.response(answer) }
        refusal = answer
      } catch let error as ServerError where error.status == .badGateway {
        context.logger.warning(
          "a worker's live streams cannot be reached", metadata: ["worker": "\(host)"])
        failure = error
      }
    }
    if let refusal { return Self.response(refusal) }
    throw failure ?? ServerError.noWorkers
  }

  /// Workers by their numbers of streams, open and being opened; equal ones stay in their order.
  private func ordered(_ hosts: [LiveHost]) -> [LiveHost] {
    hosts.enumerated()
      .map { (offset: $0.offset, count: streamCount(at: $0.element), host: $0.element) }
      .sorted { ($0.count, $0.offset) < ($1.count, $1.offset) }.map(\.host)
  }

  /// The open streams of all workers; of one worker, also those that are being opened.
  private func streamCount(at host: LiveHost?) -> Int {
    (placement?.streamCount(at: host?.worker) ?? 0) + (host.map(openings.count(at:)) ?? 0)
  }

  private func hosts(of model: String?) async throws -> (model: String, [LiveHost]) {
    guard let (model, hosts) = try await placement?.liveHosts(of: model), !hosts.isEmpty else {
      throw ServerError(
        .notImplemented, "not_supported",
        "live streams run on workers, and no worker of this model takes them; start one with an "
          + "address for live streams")
    }
    return (model, hosts)
  }

  /// Whether another worker may take what one refused: it had no room, or is stopping.
  private static func mayFitElsewhere(_ status: HTTPResponse.Status) -> Bool {
    status == .tooManyRequests || status == .serviceUnavailable
  }

  /// Sends a request to the worker of its stream, and the answer to the client.
  private func relay(_ request: Request, _ context: ServerContext) async throws -> Response {
    var request = request
    let rest = request.uri.path.hasSuffix("/frames") ? "/frames" : ""
    let (connection, path) = try connection(context, rest)
    let body = ByteBuffer(bytes: try await request.bytes(upTo: limits.bodyByteCount, context))
    let headers = headers(of: request)
    let method = request.method == .head ? .get : request.method
    let answer = try await connection.answer(
      method, path, headers: headers,
      body: body.readableBytes > 0 || method == .put ? body : nil, within: limits.requestTime)
    if method == .delete, answer.head.status == .noContent {
      placement?.didEnd(at: connection.host)
    }
    return Self.response(answer)
  }

  private func headers(of request: Request) -> HTTPFields {
    var headers: HTTPFields = [:]
    if let type = request.headers[.contentType] { headers[.contentType] = type }
    return headers
  }

  private static func response(_ answer: LiveConnection.Answer) -> Response {
    var headers: HTTPFields = [:]
    for name in [HTTPField.Name.contentType, .retryAfter, .cacheControl] {
      if let value = answer.head.headerFields[name] { headers[name] = value }
    }
    return Response(
      status: answer.head.status, headers: headers,
      body: answer.body.readableBytes > 0 ? ResponseBody(byteBuffer: answer.body) : ResponseBody())
  }

  // MARK: - Streams

  private static let unknown = ServerError.notFound(
    "there is no live stream with this id; create one with POST /v1/streams")

  /// The worker of a stream; nil for an id that no worker makes.
  private func host(of stream: String) -> LiveHost? {
    // A path of other characters could lead elsewhere.
    guard stream.utf8.allSatisfy({ Self.idCharacters.contains($0) }) else { return nil }
    return PlacedStream.worker(of: stream).flatMap { placement?.liveHost(named: $0) }
  }

  private func connection(
    _ context: ServerContext, _ rest: String
  ) throws(ServerError) -> (LiveConnection, path: String) {
    guard let host = host(of: context.parameters.get("id") ?? "") else { throw Self.unknown }
    return (LiveConnection(host: host), Self.path(context, rest))
  }

  private static func path(_ context: ServerContext, _ rest: String) -> String {
    "/v1/streams/\(context.parameters.get("id") ?? "")\(rest)"
  }

  private static let idCharacters = Set(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.".utf8)

  func has(_ stream: String) -> Bool { host(of: stream) != nil }

  func serve(_ channel: SocketChannel.Socket, stream: String, logger: Logger) async {
    guard let host = host(of: stream), !closing.isStopped else {
      return await SocketRelay.refuse(channel, closing.isStopped ? .stopping : Self.unknown)
    }
    let worker: SocketChannel.Socket
    do {
      // Workers ping twice in this time.
      worker = try await LiveConnection(host: host).socket(
        "/v1/streams/\(stream)/socket", silence: limits.writeTime)
    } catch {
      return await SocketRelay.refuse(channel, LiveConnection.unreachable)
    }
    await SocketRelay(
      client: channel, worker: worker, pingTime: limits.writeTime / 2, stop: closing
    ).run(logger: logger)
  }

  func reports() async -> [LiveReport] { await placement?.liveReports() ?? [] }

  func sweep() async {}

  func closeAll() async { closing.stop() }
}

/// The live streams that a gateway is opening.
private final class Openings: Sendable {
  private struct State {
    var total = 0
    var counts: [String: Int] = [:]
  }

  private let state = Mutex(State())

  /// Begins to open a stream.
  ///
  /// - Parameters:
  ///   - count: the number of streams that are open.
  ///   - limits: the limits.
  /// - Throws: `too_many_streams`.
  func begin(_ count: Int, _ limits: ServerLimits) throws(ServerError) {
    let isFull = state.withLock { state in
      guard count + state.total < limits.streamCount else { return true }
      state.total += 1
      return false
    }
    if isFull { throw .tooManyStreams(limits) }
  }

  /// Ends what ``begin(_:_:)`` began.
  func end() { state.withLock { $0.total -= 1 } }

  /// Begins to open a stream at a worker.
  func begin(at host: LiveHost) { state.withLock { $0.counts[host.worker, default: 0] += 1 } }

  /// Ends what ``begin(at:)`` began.
  func end(at host: LiveHost) { state.withLock { $0.counts[host.worker, default: 0] -= 1 } }

  /// The streams that are being opened at a worker.
  func count(at host: LiveHost) -> Int { state.withLock { $0.counts[host.worker] ?? 0 } }
}
