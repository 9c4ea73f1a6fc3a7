internal import ArgumentParser
internal import FlowCore
internal import FlowEngine
internal import FlowGraph
internal import FlowMedia
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
      written to a folder, with a chart and all figures. The quick suite takes about a minute.

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
      faster configurations changes the images).
      """)
  var suite = BenchmarkSuite.quick

  @Option(name: .customLong("size"), help: "Width and height in pixels; repeat for several.")
  var sizes: [Int] = []

  @Option(help: "Number of steps.")
  var steps = 4

  @Option(help: "Images in flight (default: by the size).")
  var stages = StageCount(rows: nil)

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
      "A folder of references for quality; without it, images are only compared with each other.",
      valueName: "folder"),
    completion: .directory)
  var references: String?

  @Option(help: "Number of images of the quality suite.")
  var count = 500

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

  func validate() throws {
    for (name, value, range) in [
      ("steps", steps, 1...1000), ("rounds", rounds, 1...1000), ("count", count, 1...100_000),
      ("threads", threads ?? 1, 1...4096),
    ] where !range.contains(value) {
      throw ValidationError(
        "--\(name) must be \(range.lowerBound) to \(range.upperBound), got \(value)")
    }
    guard seconds > 0, seconds.isFinite else {
      throw ValidationError("--seconds must be above 0, got \(seconds)")
    }
    if peers != nil, suite != .ablation, suite != .efficiency {
      throw ValidationError("--peers needs --suite ablation or efficiency")
    }
    if references != nil, suite != .quality {
      throw ValidationError("--references needs --suite quality")
    }
    if suite == .quality, device?.names.count ?? 1 > 1 {
      throw ValidationError("--suite quality compares images of one device; name one")
    }
    if suite == .quality, !sizes.isEmpty {
      throw ValidationError("--suite quality runs at the model's own size; omit --size")
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
    }
  }

  private func measured(
    progress: @escaping @Sendable (String) -> Void
  ) async throws -> BenchmarkReport {
    var report = BenchmarkReport(
      suite: suite.rawValue, model: URL(filePath: model).lastPathComponent,
      machine: MachineDescription())
    if suite == .quality {
      report.quality = try await quality(progress: progress)
    } else {
      for size in try chosenSizes() { report.parts.append(try part(size, progress: progress)) }
    }
    return report
  }

  private func chosenSizes() throws -> [PixelSize] {
    if !sizes.isEmpty { return sizes.map { PixelSize(width: $0, height: $0) } }
    let checkpoint = try Checkpoint.named(model)
    guard suite == .resolution else { return [checkpoint.nativeSize] }
    // A small network attends over all positions of large latents: beyond a few hundred pixels it
    // is outside of what the model is made for.
    let most = checkpoint.nativeSize.width < 256 ? 256 : 1024
    return [64, 128, 256, 512, 1024].filter { $0 <= most }
      .map { PixelSize(width: $0, height: $0) }
  }

  private func part(
    _ size: PixelSize, progress: @escaping (String) -> Void
  ) throws -> BenchmarkReport.Part {
    let checkpoint = try Checkpoint.named(model)
    try checkpoint.check(width: size.width, height: size.height)
    let isLarge = checkpoint.networkWeights.byteCount >= 256 << 20
    let places =
      size.width * size.height / (checkpoint.autoencoder.factor * checkpoint.autoencoder.factor)
    let tiny = try? Checkpoint.named(model, autoencoder: .tiny)
    let quantizable = tiny ?? checkpoint
    let cases = BenchmarkCases(
      width: size.width, height: size.height, steps: steps,
      stages: stages.rows ?? (isLarge ? steps : places <= 256 ? 16 : 4),
      hasFull: (try? Checkpoint.named(model, autoencoder: .full)) != nil,
      hasTiny: tiny != nil, hasInt8: (try? quantizable.quantized(from: scales)) != nil,
      runsSingly: isLarge && places > 1024,
      peers: BenchmarkPeer.all(peers?.split(separator: " ").map(String.init) ?? [])
        .filter { _ in peers != nil })
    let runner = BenchmarkRunner(
      rounds: rounds, secondsPerRun: seconds, keepsProcesses: !isLarge, command: command,
      progress: progress)
    return BenchmarkReport.Part(
      width: size.width, height: size.height, results: try runner(cases(suite)))
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

  private func quality(progress: @escaping (String) -> Void) async throws -> [QualityStudy.Row] {
    let checkpoint = try Checkpoint.named(model)
    let references = try references.map(RetrievalReferences.init(folder:))
    let prompts =
      references?.prompts
      ?? (0..<count).map {
        QuantizationOptions.standardPrompts[$0 % QuantizationOptions.standardPrompts.count]
      }
    let study = QualityStudy(
      checkpoint: checkpoint, scales: scales, references: references,
      prompts: Array(prompts.prefix(count)),
      engines: EngineStore(
        device: device?.names[0] ?? .cpu, options: EngineOptions(threadCount: threads),
        cache: ignoresCache ? nil : try CacheCommand.cache { Terminal.warning($0) }),
      progress: progress)
    let guidance = checkpoint.request("").guidance
    let rows = stages.rows ?? 16
    func way(_ label: String, steps: Int, _ change: (inout QualityStudy.Way) -> Void = { _ in })
      -> QualityStudy.Way
    {
      var way = QualityStudy.Way(label: label, stages: rows, steps: steps, guidance: guidance)
      change(&way)
      return way
    }
    var ways = [
      way("one at a time, f32, \(steps) steps", steps: steps) { $0.stages = 1 },
      way("\(rows) in flight", steps: steps),
    ]
    if (try? checkpoint.quantized(from: scales)) != nil {
      ways.append(way("\(rows) in flight, int8", steps: steps) { $0.precision = "int8" })
    }
    // A model with a default scale of 1 is measured with guidance too.
    let scale = guidance.scale == 1 ? 2 : guidance.scale
    let others: [(String, Guidance)] = [
      guidance.scale == 1
        ? ("full guidance, scale \(scale)", .full(scale: scale)) : ("no guidance", .none),
      ("onetime-negative guidance, scale \(scale)", .onetimeNegative(scale: scale, delta: 1)),
    ]
    for (label, other) in others { ways.append(way(label, steps: steps) { $0.guidance = other }) }
    for count in [1, 2, 3, 4, 6, 8] where count != steps {
      ways.append(way("\(count) \(count == 1 ? "step" : "steps")", steps: count))
    }
    return try await study(ways)
  }
}
