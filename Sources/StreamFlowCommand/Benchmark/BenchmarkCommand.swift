internal import ArgumentParser
internal import FlowCore
internal import FlowEngine
internal import FlowGraph
internal import FlowImage
internal import FlowModels
internal import Foundation
internal import StreamFlow

/// `streamflow benchmark`: the throughput of this machine, and what improves it.
struct BenchmarkCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "benchmark",
    abstract: "Measure how fast this machine generates images, and what makes it faster.",
    discussion: """
      Each configuration runs in a process of its own. They are timed interleaved after a warm-up, \
      and the median of the rounds is reported. The table is printed; with --output it is also \
      written to a folder, with a chart and all figures. The quick suite takes about a minute. The \
      editing suite prints each row on standard error when it is measured. Ctrl-C ends any suite, \
      and what was measured until then is reported.

      Examples:
        streamflow benchmark
        streamflow benchmark --suite ablation --model ./my-model --size 256
        streamflow benchmark --suite resolution --output study
        streamflow benchmark --suite efficiency \\
          --peers "python Scripts/benchmarks/peer.py"
      """)

  @Option(
    help: "A model, in any form that --model accepts.",
    completion: .file())
  var model = "starter"

  @Option(
    help: """
      quick (one at a time, in flight together, int8), ablation (the effect of each part), \
      efficiency (processor time, energy, memory), resolution (several sizes), quality (whether \
      faster configurations change the images), precision (the time of a row in each precision, \
      and the difference of its images), batching (the time of a row in batches of 1 to 32, in each \
      precision), profile (the kernels that take the time), solvers (the error of every solver by its number of \
      evaluations), live (streams that do only the work that changed), editing (how well editing \
      methods edit; needs --references).
      """)
  var suite = BenchmarkSuite.quick

  @Option(name: .customLong("size"), help: "Width and height in pixels; repeat for several.")
  var sizes: [Int] = []

  @Option(help: "Number of steps.")
  var steps = 4

  @Option(
    help: """
      Batch size, the images in flight (default: by the size); of batching, the largest one \
      (default: 32).
      """)
  var batchSize = BatchSize(rows: nil)

  @Option(help: "Number of times that each configuration is timed.")
  var rounds = 5

  @Option(help: "Approximate seconds per configuration and round.")
  var seconds = 3.0

  @Option(help: "Sampling schedule (default: the model's).")
  var schedule = ScheduleChoice.automatic

  @Option(
    help: ArgumentHelp(
      "The command of the peers of ablation and efficiency: a Python and "
        + "Scripts/benchmarks/peer.py.",
      valueName: "command"))
  var peers: String?

  @Option(
    help: ArgumentHelp(
      "A folder of references for quality and editing; without it, quality only compares images "
        + "with each other.",
      valueName: "folder"),
    completion: .directory)
  var references: String?

  @Option(
    help: """
      Number of images: of quality (default: 500), of precision (24, or 2 of a large model), of \
      solvers (8), or of edits (100).
      """)
  var count: Int?

  @Option(
    name: .customLong("edit-steps"),
    help: "Number of steps of the editing suite; repeat for several (default: 1 to 28).")
  var editSteps: [Int] = []

  @Option(help: "Number of frames of each clip of the live suite.")
  var frames = 12

  @Option(
    help: "The scales for int8 (default: beside the model).",
    completion: .file(extensions: ["json"]))
  var scales: String?

  @Option(
    help: ArgumentHelp(
      "The device, or several at once, as `generate` takes them (default: CPU).",
      valueName: "device[,device]"), transform: DeviceList.init(parsing:))
  var device: DeviceList?

  @Option(help: "Number of threads (default: all cores).")
  var threads: Int?

  @Flag(name: .customLong("no-cache"), help: "Do not read or write the engine cache.")
  var ignoresCache = false

  @Option(
    help: "A folder for the table, the chart and all figures.",
    completion: .directory)
  var output: String?

  @Flag(help: "Print JSON.")
  var json = false

  @OptionGroup(title: "Settings file") var configOptions: ConfigOptions

  func validate() throws {
    for (name, value, range) in [
      ("steps", steps, 1...1000), ("rounds", rounds, 1...1000), ("count", count ?? 1, 1...100_000),
      ("frames", frames, 2...10_000),
      ("threads", threads ?? 1, 1...4096),
    ] where !range.contains(value) {
      throw ValidationError(
        "--\(name) must be \(range.lowerBound) to \(range.upperBound), got \(value)")
    }
    guard seconds > 0, seconds.isFinite else {
      throw ValidationError("--seconds must be above 0, got \(seconds)")
    }
    if let wrong = editSteps.first(where: { !(1...1000).contains($0) }) {
      throw ValidationError("--edit-steps must be 1 to 1000, got \(wrong)")
    }
    if peers != nil, suite != .ablation, suite != .efficiency {
      throw ValidationError("--peers needs --suite ablation or efficiency")
    }
    if references != nil, suite != .quality, suite != .editing {
      throw ValidationError("--references needs --suite quality or editing")
    }
    if references == nil, suite == .editing {
      throw ValidationError(
        "--suite editing needs --references; Scripts/benchmarks/references.py makes them")
    }
    if suite.isStudy, device?.names.count ?? 1 > 1 {
      throw ValidationError("--suite \(suite) runs on one device; name one")
    }
    if [.quality, .editing, .solvers].contains(suite), !sizes.isEmpty {
      throw ValidationError("--suite \(suite) runs at the model's own size; omit --size")
    }
  }

  func run() async throws {
    try await reporting {
      let folder = try output.map { path throws(MediaError) in
        try OutputFolder(creating: path, option: "--output")
      }
      let bar = ProgressBar(total: 0, isVisible: !json)
      let show: @Sendable (String) -> Void = { bar.show("\($0) ...") }
      let report = try await Interrupt.cancelling {
        try await withTaskCancellationHandler {
          try await measured(progress: show)
        } onCancel: {
          BenchmarkWorker.stopAll()
        }
      }
      bar.finish()
      let files = try report.files()
      if let folder {
        for file in files {
          _ = try AtomicFile.write(file.bytes, to: folder.file(file.name), overwriting: true)
        }
      }
      Terminal.output(
        json
          ? String(decoding: files[0].bytes, as: UTF8.self)
          : report.markdown(hasChart: output != nil))
      if report.isInterrupted { throw CancellationError() }
    }
  }

  private func measured(
    progress: @escaping @Sendable (String) -> Void
  ) async throws -> BenchmarkReport {
    var report = BenchmarkReport(
      suite: suite.rawValue, model: URL(filePath: model).lastPathComponent,
      machine: MachineDescription())
    switch suite {
    case .quality: report.quality = try await quality(progress: progress)
    case .solvers: report.solvers = try await solvers(progress: progress)
    case .live:
      for size in try chosenSizes() where !Task.isCancelled {
        do {
          report.live.append(try await live(size, progress: progress))
        } catch is CancellationError where !report.live.isEmpty {}
      }
    case .profile:
      for size in try chosenSizes() where !Task.isCancelled {
        do {
          report.profiles += try await profile(size, progress: progress)
        } catch is CancellationError where !report.profiles.isEmpty {}
      }
    case .editing: report.editing = try await editing(progress: progress)
    case .quick, .ablation, .efficiency, .resolution, .precision, .batching:
      for size in try chosenSizes() where !Task.isCancelled {
        do {
          report.parts.append(try await part(size, progress: progress))
        } catch is CancellationError where !report.parts.isEmpty {}
      }
    }
    report.isInterrupted = Task.isCancelled
    if report.isInterrupted, report.isEmpty { throw CancellationError() }
    return report
  }

  /// Whether the device computes fastest in bfloat16.
  var prefersBFloat16: Bool {
    get throws {
      try (device?.names[0] ?? .cpu).fastestPrecision(among: EngineStore.backends).precision
        == .bfloat16
    }
  }

  var engines: EngineStore {
    get throws {
      EngineStore(
        device: device?.names[0] ?? .cpu, options: EngineOptions(threadCount: threads),
        cache: ignoresCache ? nil : try CacheCommand.cache { Terminal.warning($0) })
    }
  }

  private func live(
    _ size: PixelSize, progress: @escaping (String) -> Void
  ) async throws -> LiveStudy.Part {
    try await LiveStudy(
      checkpoint: .named(model), size: size, steps: steps, rounds: rounds, frameCount: frames,
      engines: engines, progress: progress)()
  }

  private func editing(
    progress: @escaping (String) -> Void
  ) async throws -> EditingStudy.Report {
    let checkpoint = try Checkpoint.named(model)
    return try await EditingStudy(
      checkpoint: checkpoint, references: references(references ?? "", of: checkpoint),
      count: count ?? 100,
      stepCounts: editSteps.isEmpty ? EditingStudy.stepCounts : editSteps, engines: engines,
      progress: progress, measured: { Terminal.note($0.line) })()
  }

  private func chosenSizes() throws -> [PixelSize] {
    if !sizes.isEmpty { return sizes.map { PixelSize(width: $0, height: $0) } }
    let checkpoint = try Checkpoint.named(model)
    guard suite == .resolution || suite == .precision else { return [checkpoint.nativeSize] }
    // A small network attends over all positions of large latents: beyond a few hundred pixels it
    // is outside of what the model is made for.
    let most = checkpoint.nativeSize.width < 256 ? 256 : 1024
    return [64, 128, 256, 512, 1024].filter { $0 <= most }
      .map { PixelSize(width: $0, height: $0) }
  }

  private func part(
    _ size: PixelSize, progress: @escaping (String) -> Void
  ) async throws -> BenchmarkReport.Part {
    let checkpoint = try Checkpoint.named(model)
    try checkpoint.check(width: size.width, height: size.height)
    // Before any process loads the model, which would end with the same error.
    var request = checkpoint.request("")
    (request.schedule, request.stepCount) = (schedule, steps)
    _ = try checkpoint.peakRowCount(of: request)
    let isLarge = checkpoint.networkWeights.byteCount >= 256 << 20
    let places =
      size.width * size.height / (checkpoint.autoencoder.factor * checkpoint.autoencoder.factor)
    let tiny = try? Checkpoint.named(model, autoencoder: .tiny)
    let quantizable = tiny ?? checkpoint
    let prefersBFloat16 = try prefersBFloat16
    let cases = BenchmarkCases(
      width: size.width, height: size.height, steps: steps,
      stages: batchSize.rows ?? (isLarge ? steps : places <= 256 ? 16 : 4),
      largestBatch: batchSize.rows ?? 32,
      hasFull: (try? Checkpoint.named(model, autoencoder: .full)) != nil,
      hasTiny: tiny != nil, hasInt8: (try? quantizable.quantized(from: scales)) != nil,
      prefersBFloat16: prefersBFloat16, runsSingly: isLarge && places > 1024,
      peers: (peers?.split(separator: " ").map(String.init)).map {
        BenchmarkPeer.all($0, prefersBFloat16: prefersBFloat16 && suite == .efficiency)
      } ?? [])
    let runner = BenchmarkRunner(
      rounds: rounds, secondsPerRun: seconds, keepsProcesses: !isLarge && suite != .batching,
      command: command,
      progress: progress)
    var part = BenchmarkReport.Part(
      width: size.width, height: size.height, results: try runner(cases(suite)))
    guard suite == .precision, !Task.isCancelled else { return part }
    do {
      part.quality = try await differences(
        of: quantizable, cases.precisionNames, at: size, isLarge: isLarge, progress: progress)
    } catch is CancellationError {}
    return part
  }

  private func command(_ entry: BenchmarkCase) -> [String] {
    if let peer = entry.peer {
      return peer + [
        "--model", model == "starter" ? (try? Checkpoint.starter().folder) ?? model : model,
        "--width", "\(entry.width)", "--height", "\(entry.height)", "--steps", "\(entry.steps)",
      ]
    }
    let description =
      (try? JSONEncoder().encode(entry)).map { String(decoding: $0, as: UTF8.self) } ?? "{}"
    let program = Bundle.main.executablePath ?? CommandLine.arguments[0]
    var command = [
      program, "benchmark-worker", "--model", model, "--description", description, "--schedule",
      "\(schedule)",
    ]
    if let scales { command += ["--scales", scales] }
    if let threads { command += ["--threads", "\(threads)"] }
    if let device { command += ["--device", "\(device)"] }
    if ignoresCache { command.append("--no-cache") }
    return command
  }
}
