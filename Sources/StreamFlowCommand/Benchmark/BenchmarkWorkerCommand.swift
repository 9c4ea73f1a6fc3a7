internal import ArgumentParser
internal import FlowEngine
internal import FlowModels
internal import Foundation
internal import StreamFlow

/// `streamflow benchmark-worker`: one case of a benchmark in a process of its own, so that its
/// memory can be measured.
///
/// It prints `{"ready": SECONDS}`, and for each line `run N` of standard input the cost of N
/// images. Peers use the same protocol.
struct BenchmarkWorkerCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "benchmark-worker", abstract: "One case of `streamflow benchmark`.",
    shouldDisplay: false)

  @Option(help: "The model.")
  var model: String

  @Option(help: "The case, in JSON.")
  var description: String

  @Option(help: "The sampling schedule.")
  var schedule = ScheduleChoice.automatic

  @Option(help: "The file of the int8 scales.")
  var scales: String?

  @Option(help: "The number of threads.")
  var threads: Int?

  @Option(help: "The devices.", transform: DeviceList.init(parsing:))
  var device: DeviceList = DeviceList([.cpu])

  @Flag(name: .customLong("no-cache"), help: "Neither use nor keep compiled engines.")
  var ignoresCache = false

  func run() async throws {
    do {
      try await work()
    } catch {
      struct Failure: Encodable { let error: String }
      try Self.say(Failure(error: Remedy.words(error)))
      throw ExitCode.failure
    }
  }

  private func work() async throws {
    let start = ContinuousClock.now
    let work = try JSONDecoder().decode(BenchmarkCase.self, from: Data(description.utf8))
    guard let vae = AutoencoderChoice(argument: work.vae) else {
      throw ValidationError("vae \(work.vae)")
    }
    var checkpoint = try Checkpoint.named(model, autoencoder: vae)
    guard let precision = PrecisionChoice(argument: work.precision) else {
      throw ValidationError("precision \(work.precision)")
    }
    checkpoint = try precision.applied(to: checkpoint, scales: scales)
    var options = GeneratorOptions()
    (options.width, options.height) = (work.width, work.height)
    (options.rowCapacity, options.engineRowCapacity) = (work.stages, work.engineRows)
    options.decodeRowCapacity = work.decodeRows
    let cache = ignoresCache ? nil : try CacheCommand.cache { Terminal.warning($0) }
    let generator = try GeneratorPool(
      checkpoint: checkpoint, options: options,
      devices: device.names.map { device in
        EngineStore(
          device: device,
          options: EngineOptions(
            threadCount: threads, precision: try precision.finding(for: device).precision),
          cache: cache)
      })
    try await generator.prepare()
    // One warm-up run of all parts, with the smallest possible number of steps.
    var seed: UInt64 = 0
    func requests(_ count: Int, steps: Int? = nil) -> [GenerationRequest] {
      (0..<count).map { _ in
        seed += 1
        var request = work.request(of: checkpoint, schedule: schedule, seed: seed)
        request.stepCount = steps ?? request.stepCount
        return request
      }
    }
    for count in Set([1, work.stages]).map({ $0 * device.names.count }) {
      let stream: ImageStream
      do { stream = try await generator.images(for: requests(count, steps: 1)) } catch {
        // A piecewise schedule needs a step for each window.
        stream = try await generator.images(for: requests(count))
      }
      for try await _ in stream {}
    }
    struct Ready: Encodable { let ready: Double }
    try Self.say(Ready(ready: (ContinuousClock.now - start).seconds))
    while let line = readLine() {
      guard let count = Int(line.dropFirst("run ".count)), count > 0 else { break }
      let before = await generator.statistics
      let meter = ProcessMeter()
      for try await _ in try await generator.images(for: requests(count)) {}
      var sample = meter.sample(pictures: count)
      let after = await generator.statistics
      let rowCount = after.rowCount - before.rowCount
      if rowCount > 0 {
        sample.rowSeconds = (after.tickTime - before.tickTime).seconds / Double(rowCount)
      }
      try Self.say(sample)
    }
  }

  private static func say(_ value: some Encodable) throws {
    Terminal.output(String(decoding: try JSONEncoder().encode(value), as: UTF8.self))
  }
}
