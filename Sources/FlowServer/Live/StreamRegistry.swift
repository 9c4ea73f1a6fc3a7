internal import FlowCore
internal import FlowEngine
internal import HTTPTypes
internal import Logging
internal import StreamFlow
internal import Synchronization

/// The live streams of a server.
final class StreamRegistry: Sendable {
  private struct State {
    var sessions: [String: LiveSession] = [:]
    /// The number of streams that are being opened.
    var openingCount = 0
    var lastNumber = 0
    var isClosed = false
  }

  private let state = Mutex(State())
  private let shelf: ModelShelf
  private let options: ServerOptions
  private let tally: ImageTally
  private let stop: StopSignal
  private let intake: ImageIntake
  /// The end of all ids: where gateways find the stream.
  private let idSuffix: String
  private let logger: Logger

  init(
    _ shelf: ModelShelf, options: ServerOptions, tally: ImageTally,
    stop: StopSignal, intake: ImageIntake, idSuffix: String = "", logger: Logger
  ) {
    self.idSuffix = idSuffix
    self.intake = intake
    self.shelf = shelf
    self.stop = stop
    self.options = options
    self.tally = tally
    self.logger = logger
  }

  /// The open streams.
  var sessions: [LiveSession] { state.withLock { Array($0.sessions.values) } }

  /// The stream with an id.
  func session(_ id: String) throws(ServerError) -> LiveSession {
    guard let session = state.withLock({ $0.sessions[id] }) else {
      throw .notFound("there is no live stream with this id; create one with POST /v1/streams")
    }
    return session
  }

  /// Whether there is a stream with an id.
  func has(_ id: String) -> Bool { state.withLock { $0.sessions[id] != nil } }

  /// Opens a stream, including its engines.
  ///
  /// - Parameters:
  ///   - fields: its settings.
  ///   - chosen: the name of the model if a gateway has chosen it.
  ///   - limits: the limits of its settings.
  /// - Throws: what is wrong with the settings; `too_many_streams`; an error of the model or an
  ///   engine.
  func open(
    _ fields: inout RequestFields, model chosen: String? = nil, limits: ServerLimits
  ) async throws -> LiveSession {
    let model = try fields.text("model", limit: 200)
    let live = try LiveFields(&fields, limits: limits)
    var liveOptions = LiveOptions()
    liveOptions.rowCapacity = try fields.integer("stages", in: 1...64, orWord: "auto")
    liveOptions.frameBuffer = try fields.integer("frame_buffer", in: 1...16) ?? 1
    liveOptions.decodeBatch = try fields.integer("decode_batch", in: 1...16) ?? 4
    liveOptions.overlaps = false
    let format = try fields.choice("output_format", of: ["jpeg", "png"]) ?? "jpeg"
    let quality = try fields.integer("quality", in: 1...100) ?? 90
    try fields.checkAllRead()
    try live.checkKept(in: nil)
    let host = try shelf.host(chosen ?? model)
    try shelf.preparations.checkRoom()
    let warnings =
      fields.warnings
      + [ResponseWarning.substitution(of: model, by: host.name)].compactMap(\.self)
    try reserve()
    defer { state.withLock { $0.openingCount -= 1 } }
    let (setup, options, intake, shelf) = (liveOptions, options, intake, shelf)
    let (tally, logger) = (tally, logger)
    return try await stop.unlessStopped {
      try await shelf.using(host) { host in
        let checkpoint = try await host.loaded()
        var wanted = try await live.decoded(by: intake).settings(of: checkpoint)
        if wanted.width == nil, !limits.allowedSizes.isEmpty {
          let size = limits.defaultSize(of: checkpoint)
          (wanted.width, wanted.height) = (size.width, size.height)
        }
        let stream = try LiveStream(
          checkpoint: checkpoint, settings: wanted, options: setup,
          engines: self.freestDevice())
        let session = LiveSession(
          id: RandomName.make("stream") + self.idSuffix, number: self.nextNumber(),
          model: host.name,
          stream: stream,
          upscaler: try options.upscaler ?? .upscaler(of: checkpoint, engines: stream.store),
          upscale: live.changed(upscale: nil),
          encoding: format == "png" ? .png : .jpeg(quality: quality),
          limits: limits, intake: intake,
          warnings: warnings + ResponseWarning.unusedTags(in: wanted.request, of: checkpoint),
          tally: tally, logger: logger)
        try await session.checkUpscaling(live.changed(upscale: nil), wanted)
        try await shelf.preparations.run { try await session.begin() }
        let isGone = Task.isCancelled
        let isOpen = self.state.withLock { state in
          guard !state.isClosed, !isGone else { return false }
          state.sessions[session.id] = session
          return true
        }
        // The server stopped or the client disconnected while the engines were prepared.
        if !isOpen {
          await session.end()
          throw ServerError.stopping
        }
        return session
      }
    }
  }

  /// The device with the fewest streams; a stream's frames stay on one.
  private func freestDevice() -> EngineStore {
    let devices = options.devices
    guard devices.count > 1 else { return devices[0] }
    let used = sessions.map { ObjectIdentifier($0.stream.store) }
    let counts = devices.map { device in used.count { $0 == ObjectIdentifier(device) } }
    return zip(devices, counts).min { $0.1 < $1.1 }?.0 ?? devices[0]
  }

  /// What the status says of each stream.
  func reports() async -> [LiveReport] {
    var reports: [LiveReport] = []
    for session in sessions.sorted(by: { $0.number < $1.number }) {
      let report = await session.report()
      let size = report.settings.size.split(separator: "x").compactMap { Int($0) }
      reports.append(
        LiveReport(
          id: "\(session.number)", model: session.model, width: size.first ?? 0,
          height: size.last ?? 0, rows: report.rows, inFlight: await session.inFlightCount,
          made: report.statistics.made, skipped: report.statistics.skipped,
          framesPerSecond: report.statistics.framesPerSecond))
    }
    return reports
  }

  private func nextNumber() -> Int {
    state.withLock { state in
      state.lastNumber += 1
      return state.lastNumber
    }
  }

  private func reserve() throws(ServerError) {
    let limit = options.limits.streamCount
    let (isClosed, isFull) = state.withLock { state in
      let isFull = state.sessions.count + state.openingCount >= limit
      if !isFull, !state.isClosed { state.openingCount += 1 }
      return (state.isClosed, isFull)
    }
    guard !isClosed else { throw ServerError.stopping }
    guard !isFull else {
      throw ServerError.tooManyStreams(options.limits)
    }
  }

  /// Ends a stream.
  func close(_ id: String) async throws {
    let session = try session(id)
    state.withLock { $0.sessions[id] = nil }
    await session.end()
  }

  /// Ends idle streams, and removes ended ones.
  func sweep() async {
    for session in sessions {
      let (isOver, isIdle) = (await session.isOver, await session.isIdle)
      guard isOver || isIdle else { continue }
      if isIdle { logger.info("stream left idle", metadata: ["stream": "\(session.id)"]) }
      try? await close(session.id)
    }
  }

  /// Ends all streams, and rejects new ones.
  func closeAll() async {
    state.withLock { $0.isClosed = true }
    for session in sessions { try? await close(session.id) }
  }
}

extension ServerError {
  /// The error for one live stream more than the limits allow.
  static func tooManyStreams(_ limits: ServerLimits) -> ServerError {
    ServerError(
      .tooManyRequests, "too_many_streams",
      "there are \(limits.streamCount) live streams already, which is the limit; end one "
        + "(DELETE /v1/streams/ID), or wait until an idle one is ended",
      retryAfter: Int(limits.streamIdleTime.components.seconds))
  }
}
