internal import FlowCore
internal import FlowImage
internal import FlowModels
internal import Foundation
internal import StreamFlow

/// Counts the frames of a run of `streamflow video`.
actor VideoLog {
  private(set) var madeCount = 0
  private(set) var repeatedCount = 0
  private(set) var failedCount = 0
  /// The number of frames written to the file.
  private(set) var writtenCount = 0

  private var total: Int?
  private let isVisible: Bool
  private var start = ContinuousClock.now
  private var lastDrawn = ContinuousClock.now
  private var times: [LiveFrame.Times] = []

  init(isVisible: Bool) { self.isVisible = isVisible && Terminal.isInteractive }

  /// Starts counting and measuring time.
  ///
  /// - Parameter total: the number of frames, if known.
  func begin(total: Int?) {
    self.total = total
    start = .now
    lastDrawn = start
  }

  /// The number of finished frames.
  var frameCount: Int { madeCount + repeatedCount + failedCount }

  /// The time since counting started.
  var seconds: Double { (ContinuousClock.now - start).seconds }

  func add(_ frame: LiveFrame) {
    switch frame.outcome {
    case .made:
      madeCount += 1
      // A camera may run for days: percentiles are of the most recent frames.
      if times.count == 1 << 16 { times.removeFirst(1 << 15) }
      times.append(frame.times)
    case .repeated: repeatedCount += 1
    case .failed: failedCount += 1
    }
    draw(at: frame.timestamp)
  }

  /// Counts a frame that is the same as the previous one, whose image is repeated.
  func addRepeated(at time: Duration) {
    repeatedCount += 1
    draw(at: time)
  }

  /// Sets the number of frames that were written.
  func setWritten(_ count: Int) { writtenCount = count }

  private func draw(at time: Duration) {
    let now = ContinuousClock.now
    guard isVisible, now - lastDrawn > .milliseconds(200) else { return }
    lastDrawn = now
    let seconds = (now - start).seconds
    let count = frameCount
    var line = String(
      format: "%d%@ frames  %.1f fps  %.2fx  %d skipped", count, total.map { "/\($0)" } ?? "",
      Double(count) / seconds, time.seconds / seconds, repeatedCount)
    if let total, count > 0, count < total {
      line += String(format: "  %.0f s left", seconds / Double(count) * Double(total - count))
    }
    Terminal.draw(line)
  }

  func finish() { if isVisible { Terminal.wipe() } }

  /// The median, the 95th and 99th percentiles and the maximum, in seconds.
  func percentiles(_ time: KeyPath<LiveFrame.Times, Duration>) -> [Double] {
    let sorted = times.map { $0[keyPath: time].seconds }.sorted()
    guard let last = sorted.last else { return [] }
    return [0.5, 0.95, 0.99].map { sorted[Int(Double(sorted.count - 1) * $0)] } + [last]
  }
}

/// The output of `--json`.
struct VideoReport: Encodable {
  struct Percentiles: Encodable {
    let p50: Double
    let p95: Double
    let p99: Double
    let max: Double

    init?(_ values: [Double]) {
      guard values.count == 4 else { return nil }
      (p50, p95, p99, max) = (values[0], values[1], values[2], values[3])
    }
  }

  let model: String
  let precision: String
  let precisionReason: String
  let output: String?
  let frames: Int
  let made: Int
  let skipped: Int
  let dropped: Int
  let failed: Int
  /// The frames of which the network ran on a region alone.
  let regions: Int
  /// The frames of which only the changed tiles were decoded.
  let partialDecodes: Int
  let written: Int
  let seconds: Double
  let framesPerSecond: Double
  let prepareSeconds: Double
  let rows: Int
  let rowSeconds: [String: Double]?
  let ticks: Int
  let tickSeconds: Double
  let engineSeconds: Double
  let medianTickGap: Double
  let longestTickGap: Double
  let latency: Percentiles?
  let waiting: Percentiles?
  let encoding: Percentiles?
  let flying: Percentiles?
  let decoding: Percentiles?
  let warnings: [AdviceReport]

  init(
    _ log: VideoLog, _ statistics: LiveStatistics, stream: LiveStream, precision: PrecisionReport,
    output: String?, seconds: Double
  ) async {
    model = stream.checkpoint.name
    (self.precision, precisionReason) = (precision.precision, precision.reason)
    warnings = await stream.advice.map(AdviceReport.init)
    self.output = output
    (made, skipped, failed) = await (log.madeCount, log.repeatedCount, log.failedCount)
    frames = made + skipped + failed
    dropped = statistics.droppedCount
    (regions, partialDecodes) = (statistics.regionCount, statistics.partialDecodeCount)
    written = await log.writtenCount
    self.seconds = seconds
    framesPerSecond = Double(frames) / max(seconds, 1e-9)
    prepareSeconds = statistics.preparation.seconds
    rows = statistics.rowCapacity
    rowSeconds = statistics.calibration.map { calibration in
      Dictionary(uniqueKeysWithValues: calibration.seconds.map { ("\($0.key)", $0.value) })
    }
    ticks = statistics.tickCount
    tickSeconds = statistics.tickTime.seconds
    engineSeconds = statistics.engineTime.seconds
    medianTickGap = statistics.medianTickGap.seconds
    longestTickGap = statistics.longestTickGap.seconds
    latency = Percentiles(await log.percentiles(\.latency))
    waiting = Percentiles(await log.percentiles(\.waiting))
    encoding = Percentiles(await log.percentiles(\.encoding))
    flying = Percentiles(await log.percentiles(\.flying))
    decoding = Percentiles(await log.percentiles(\.decoding))
  }
}
