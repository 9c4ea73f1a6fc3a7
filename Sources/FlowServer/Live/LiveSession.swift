internal import FlowCore
internal import FlowEngine
internal import FlowImage
internal import FlowModels
internal import Foundation
internal import HTTPTypes
internal import Logging
internal import StreamFlow

/// A live stream: clients send frames and receive images.
actor LiveSession {
  /// The session in the form of the API.
  struct Report: Encodable, Sendable {
    let id: String
    let object = "stream"
    let model: String
    let settings: LiveSettingsReport
    let rows: Int
    let gain: Double
    let rowSeconds: [String: Double]?
    let statistics: Counts
    /// Ignored parameters of the opening request, and advice on the current settings.
    let warnings: [ResponseWarning]?
  }

  /// The counters of the session.
  struct Counts: Encodable, Sendable {
    struct Percentiles: Encodable, Sendable {
      let p50: Double
      let p95: Double
    }

    var type: String?
    let framesPerSecond: Double
    let offered: Int
    let made: Int
    let skipped: Int
    let regions: Int
    let partialDecodes: Int
    let dropped: Int
    let failed: Int
    let rows: Int
    let gain: Double
    let latencyMs: Percentiles
  }

  private struct FrameLine: Encodable {
    let type = "frame"
    let index: Int
    let outcome: String
    let latencyMs: Double
    let settingsNumber: Int
    var message: String?
  }

  private struct SettingsLine: Encodable {
    let type = "settings"
    let settings: LiveSettingsReport
    let rows: Int
    let gain: Double
    let warnings: [ResponseWarning]?
  }

  nonisolated let id: String
  /// The number shown in the server's status; only the session's clients know its id.
  nonisolated let number: Int
  nonisolated let model: String
  nonisolated let broadcaster = FrameBroadcaster()
  nonisolated let encoding: ImageEncoding
  nonisolated let stream: LiveStream
  private let upscaler: Upscaler
  /// The factor of the images' sides; nil for none.
  private var upscale: Int?
  nonisolated let limits: ServerLimits
  private let intake: ImageIntake
  private let warnings: [ResponseWarning]
  private let tally: ImageTally
  private let logger: Logger
  /// The most recent logged failure of a frame.
  private var loggedFailure: String?
  private let start = ContinuousClock.now
  private var lastUse = ContinuousClock.now
  private var latencies: [Duration] = []
  private var arrivals: [ContinuousClock.Instant] = []
  private var tasks: [Task<Void, Never>] = []
  private(set) var isOver = false

  init(
    id: String, number: Int, model: String, stream: LiveStream, upscaler: Upscaler, upscale: Int?,
    encoding: ImageEncoding, limits: ServerLimits, intake: ImageIntake, warnings: [ResponseWarning],
    tally: ImageTally,
    logger: Logger
  ) {
    self.intake = intake
    self.id = id
    self.number = number
    self.model = model
    self.stream = stream
    self.upscaler = upscaler
    self.upscale = upscale
    self.encoding = encoding
    self.limits = limits
    self.warnings = warnings
    self.tally = tally
    self.logger = logger
  }

  /// Prepares the engines, and starts to deliver frames.
  func begin() async throws {
    try await stream.prepare()
    let stream = stream
    tasks = [
      Task { [weak self] in
        do {
          for try await frame in stream.frames { await self?.tell(frame) }
        } catch { await self?.fail(error) }
        await self?.end()
      },
      Task { [weak self] in
        while let self, await !self.isOver {
          try? await Task.sleep(for: .seconds(1))
          await self.tellCounts()
        }
      },
    ]
  }

  // MARK: - Input

  /// Offers an image's file; a later one replaces it before its turn.
  func offer(_ bytes: [UInt8]) async throws -> (index: Int, decision: LiveDecision) {
    await stream.decision(on: try await decoded(bytes), timestamp: .now - start)
  }

  /// Offers an image's file without waiting.
  func send(_ bytes: [UInt8]) async throws {
    let image = try await decoded(bytes)
    if case .replaced(_, let dropped) = await stream.offer(image, timestamp: .now - start) {
      struct Line: Encodable {
        let type = "dropped"
        let index: Int
      }
      broadcaster.send(.text(JSONWire.text(of: Line(index: dropped))))
    }
  }

  private func decoded(_ bytes: [UInt8]) async throws -> PixelImage {
    guard !isOver else { throw Self.ended }
    lastUse = .now
    // A stream buffers only a few images, which are not charged to the budget.
    return try await intake.decode(bytes).image
  }

  private static let ended = ServerError(.gone, "ended", "the stream has ended; create a new one")

  /// Changes settings; changes that need preparation take effect later, others immediately.
  func change(_ fields: LiveFields) async throws {
    guard !isOver else { throw Self.ended }
    lastUse = .now
    let checkpoint = stream.checkpoint
    try fields.checkKept(in: await stream.settings)
    let decoded = try await fields.decoded(by: intake)
    let wanted = decoded.changed(upscale: upscale)
    let settings = decoded.changed(await stream.settings, of: checkpoint)
    try checkUpscaling(wanted, settings)
    let change = try await stream.update { $0 = decoded.changed($0, of: checkpoint) }
    upscale = wanted
    await tellSettings()
    Task { [weak self] in
      try? await change.settled()
      await self?.tellSettings()
    }
  }

  /// Refuses images that would be too large.
  func checkUpscaling(_ upscale: Int?, _ settings: LiveSettings) throws {
    guard let upscale else { return }
    try upscaler.check(factor: upscale)
    let native = stream.checkpoint.nativeSize
    let count = (settings.width ?? native.width) * (settings.height ?? native.height)
    guard count * upscale * upscale <= limits.upscaledPixelCount else {
      throw ServerError.invalid(
        "images would have \(count * upscale * upscale) pixels after upscaling, and at most "
          + "\(limits.upscaledPixelCount) are made at once; ask for smaller ones",
        parameter: "upscale")
    }
  }

  // MARK: - Output

  private func tell(_ frame: LiveFrame) async {
    let milliseconds = frame.times.latency / .milliseconds(1)
    func line(_ outcome: String, _ message: String? = nil) -> String {
      JSONWire.text(
        of: FrameLine(
          index: frame.index, outcome: outcome, latencyMs: milliseconds,
          settingsNumber: frame.settingsNumber, message: message))
    }
    arrivals.append(.now)
    if arrivals.count > 120 { arrivals.removeFirst(60) }
    switch frame.outcome {
    case .made(let image):
      tally.add(.live)
      latencies.append(frame.times.latency)
      if latencies.count > 512 { latencies.removeFirst(256) }
      do {
        let factor = upscale
        var shown = image
        if let factor { shown = try await upscaler.upscale(image, by: factor) }
        broadcaster.send(
          .picture(line("made"), try encoding.bytes(of: shown, parameters: nil)))
      } catch { broadcaster.send(.text(line("failed", told(error)))) }
    case .repeated: broadcaster.send(.text(line("repeated")))
    case .failed(let error):
      broadcaster.send(.text(line("failed", told(error))))
    }
  }

  /// A frame's failure as a message for the client; details that it refers to are logged once.
  private func told(_ error: any Error) -> String {
    let failure = "\(error)"
    if ServerError.mustLog(error), failure != loggedFailure {
      loggedFailure = failure
      logger.error("frame failed", metadata: ["stream": "\(id)", "error": "\(failure)"])
    }
    return ServerError(error).message
  }

  private func tellSettings() async {
    let report = await report()
    broadcaster.send(
      .text(
        JSONWire.text(
          of: SettingsLine(
            settings: report.settings, rows: report.rows, gain: report.gain,
            warnings: report.warnings))))
  }

  private func tellCounts() async {
    guard broadcaster.viewerCount > 0 else { return }
    var counts = await counts
    counts.type = "statistics"
    broadcaster.send(.text(JSONWire.text(of: counts)))
  }

  private func fail(_ error: any Error) {
    // A session that its client ends also ends its tasks.
    guard !isOver else { return }
    logger.error("stream failed", metadata: ["stream": "\(id)", "error": "\(error)"])
    struct Line: Encodable {
      let type = "error"
      let error: ErrorBody.Content
    }
    broadcaster.send(.text(JSONWire.text(of: Line(error: ServerError(error).body.error))))
  }

  /// The session in the form of the API.
  func report() async -> Report {
    let size = await stream.imageSize
    let counts = await counts
    let calibration = await stream.statistics.calibration
    let settings = await stream.settings
    let warnings =
      warnings
      + stream.checkpoint.advice(on: settings.request, width: size.width, height: size.height)
      .map(ResponseWarning.init)
    return Report(
      id: id, model: model,
      settings: LiveSettingsReport(
        settings, size: PixelSize(width: size.width, height: size.height), upscale: upscale),
      rows: counts.rows, gain: counts.gain,
      rowSeconds: calibration.map { found in
        Dictionary(uniqueKeysWithValues: found.seconds.map { ("\($0.key)", $0.value) })
      }, statistics: counts, warnings: warnings.isEmpty ? nil : warnings)
  }

  /// The number of frames in flight.
  var inFlightCount: Int { get async { await stream.inFlightCount } }

  /// The counters of the session.
  var counts: Counts {
    get async {
      let statistics = await stream.statistics
      let sorted = latencies.sorted()
      func percentile(_ part: Int) -> Double {
        sorted.isEmpty
          ? 0
          : sorted[min(sorted.count * part / 100, sorted.count - 1)]
            / .milliseconds(1)
      }
      let recent = arrivals.filter { .now - $0 < .seconds(3) }
      return Counts(
        framesPerSecond: Double(recent.count) / 3, offered: statistics.offeredCount,
        made: statistics.madeCount, skipped: statistics.skippedCount,
        regions: statistics.regionCount, partialDecodes: statistics.partialDecodeCount,
        dropped: statistics.droppedCount, failed: statistics.failedCount,
        rows: statistics.rowCapacity, gain: statistics.calibration?.gain ?? 1,
        latencyMs: Counts.Percentiles(p50: percentile(50), p95: percentile(95)))
    }
  }

  // MARK: - End

  /// Records that a client is active.
  func touch() { lastUse = .now }

  /// Whether no client has sent anything for too long.
  var isIdle: Bool { .now - lastUse > limits.streamIdleTime }

  /// Ends the session and cancels its work.
  func end() async {
    guard !isOver else { return }
    isOver = true
    broadcaster.end()
    await stream.cancel()
    for task in tasks { task.cancel() }
  }
}
