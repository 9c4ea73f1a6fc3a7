internal import FlowCore
internal import FlowEngine
internal import FlowModels
internal import StreamFlow

/// The studies that generate images in this process.
extension BenchmarkCommand {
  /// The kernels of each precision that the model and the device have.
  func profile(
    _ size: PixelSize, progress: @escaping (String) -> Void
  ) async throws -> [ProfileStudy.Part] {
    let checkpoint = try (try? Checkpoint.named(model, autoencoder: .tiny)) ?? .named(model)
    try checkpoint.check(width: size.width, height: size.height)
    let prefersBFloat16 = try prefersBFloat16
    let hasInt8 = (try? checkpoint.quantized(from: scales)) != nil
    let precisions: [PrecisionChoice] =
      [.float(.float32)] + (prefersBFloat16 ? [.float(.bfloat16)] : [])
      + (hasInt8 ? [.int8(rest: .float32)] : [])
      + (hasInt8 && prefersBFloat16 ? [.int8(rest: .bfloat16)] : [])
    return try await ProfileStudy(
      checkpoint: checkpoint, scales: scales, precisions: precisions, size: size,
      rows: batchSize.rows ?? 1, device: device?.names[0] ?? .cpu, threads: threads,
      progress: progress)()
  }

  /// The references in a folder.
  ///
  /// - Throws: `ValidationError` if they are damaged, or of another size than the model's images.
  func references(_ folder: String, of checkpoint: Checkpoint) throws -> RetrievalReferences {
    let references = try RetrievalReferences(folder: folder)
    let size = checkpoint.nativeSize
    try references.check(width: size.width, height: size.height, of: model)
    return references
  }

  func quality(progress: @escaping (String) -> Void) async throws -> [QualityStudy.Row] {
    let checkpoint = try Checkpoint.named(model)
    let references = try references.map { try self.references($0, of: checkpoint) }
    let count = count ?? 500
    let prompts = references?.prompts ?? Self.prompts(count)
    let study = try study(
      of: checkpoint, references, prompts: Array(prompts.prefix(count)), progress: progress)
    let guidance = checkpoint.request("").guidance
    let rows = batchSize.rows ?? 16
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
      ways.append(
        way("\(rows) in flight, int8", steps: steps) { $0.precision = .int8(rest: .float32) })
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

  private static func prompts(_ count: Int) -> [String] {
    let known = QuantizationOptions.standardPrompts
    return (0..<count).map { known[$0 % known.count] }
  }

  private func study(
    of checkpoint: Checkpoint, _ references: RetrievalReferences? = nil, prompts: [String],
    size: PixelSize? = nil, progress: @escaping (String) -> Void
  ) throws -> QualityStudy {
    QualityStudy(
      checkpoint: checkpoint, scales: scales, references: references, prompts: prompts, size: size,
      device: device?.names[0] ?? .cpu, threads: threads,
      cache: ignoresCache ? nil : try CacheCommand.cache { Terminal.warning($0) },
      progress: progress)
  }

  /// The errors of solvers on known flows and on the model, in float32.
  func solvers(
    progress: @escaping (String) -> Void
  ) async throws -> [SolverStudy.Part] {
    let checkpoint = try Checkpoint.named(model)
    progress("known flows")
    let known = try KnownFlow.all.flatMap(SolverStudy.parts(of:))
    do {
      return known + [
        try await SolverStudy.part(
          of: checkpoint, prompts: Self.prompts(count ?? 8), engines: engines, progress: progress)
      ]
    } catch is CancellationError { return known }
  }

  /// The images of each precision against float32, and those of a mixed batch against one at a
  /// time.
  func differences(
    of checkpoint: Checkpoint, _ names: [String], at size: PixelSize, isLarge: Bool,
    progress: @escaping (String) -> Void
  ) async throws -> [QualityStudy.Row] {
    let precisions = names.compactMap(PrecisionChoice.init(argument:))
    let study = try study(
      of: checkpoint, prompts: Self.prompts(count ?? (isLarge ? 2 : 24)), size: size,
      progress: progress)
    func way(_ label: String, _ precision: PrecisionChoice, rows: Int) -> QualityStudy.Way {
      QualityStudy.Way(
        label: "\(label), \(precision.defaultValueDescription)", precision: precision, stages: rows,
        steps: steps, guidance: .none)
    }
    var ways = precisions.map { way("one at a time", $0, rows: 1) }
    // A row of a large network fills the machine: its batches are cut into single rows.
    for precision in isLarge ? [] : precisions {
      var alone = way("mixed requests, one at a time", precision, rows: 2)
      (alone.isMixed, alone.reference) = (true, ways.count)
      var together = way("7 rows of them in flight, against one at a time", precision, rows: 7)
      (together.isMixed, together.reference) = (true, ways.count)
      ways += [alone, together]
    }
    return try await study(ways)
  }
}
