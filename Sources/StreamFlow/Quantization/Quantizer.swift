internal import FlowCore
public import FlowEngine
internal import FlowGraph
public import FlowModels

/// Measures a model's int8 scales: generates images, observes what every layer reads, and finds the
/// layers whose rounding changes the output most, which stay in float32.
///
/// A quantization that was cancelled or killed continues when it is run again with the same options
/// and the same ``QuantizationOptions/statePath``.
public struct Quantizer {
  let checkpoint: Checkpoint
  let options: QuantizationOptions
  let engines: EngineStore
  let width: Int
  let height: Int
  private let progress: (QuantizationProgress) -> Void

  /// The number of elements that are sampled of each tensor per run.
  static let elementCount = 512
  /// The maximum number of operations for calibration with the standard prompts.
  private static let calibrationBudget = 12_000_000_000_000
  /// The minimum number of standard prompts, whatever they take.
  private static let leastPromptCount = 4

  /// Checks the options; nothing is compiled yet.
  ///
  /// - Parameters:
  ///   - checkpoint: the model.
  ///   - options: what is generated, and how ranges are chosen.
  ///   - engines: the engines of the device, whose precision is that of the reference; none is used
  ///     again, so that they need no cache.
  ///   - progress: called with each step and its share of the whole.
  /// - Throws: `requestInvalid` for a size that the model cannot make, or no prompts; `unsupported`
  ///   where adapters or delta weights are applied.
  public init(
    _ checkpoint: Checkpoint, options: QuantizationOptions = QuantizationOptions(),
    engines: EngineStore = .standard,
    progress: @escaping (QuantizationProgress) -> Void = { _ in }
  ) throws(ModelError) {
    width = options.width ?? checkpoint.nativeSize.width
    height = options.height ?? checkpoint.nativeSize.height
    try checkpoint.check(width: width, height: height)
    guard options.prompts?.isEmpty != true, (0..<1).contains(options.floatShare) else {
      throw ModelError(
        code: .requestInvalid,
        message: "quantization needs a prompt, and a share of float32 from 0 to below 1; got "
          + "\(options.prompts?.count ?? 0) prompts and \(options.floatShare)")
    }
    guard checkpoint.additions.isEmpty else {
      throw ModelError(
        code: .unsupported,
        message: "int8 scales are measured for a model without adapters; remove "
          + checkpoint.additions.map(\.name).joined(separator: ", "))
    }
    self.checkpoint = checkpoint
    self.options = options
    self.engines = engines
    self.progress = progress
  }

  /// Measures the scales.
  ///
  /// - Throws: `CancellationError` if the task is cancelled, after the state was saved; a
  ///   `ModelError` for an invalid plan; an `EngineError` of the runtime.
  public func run(
    isolation: isolated (any Actor)? = #isolation
  ) async throws -> QuantizationReport {
    let network = try NetworkStudy(self)
    var halves: [AutoencoderStudy] = []
    if options.includesAutoencoder {
      halves.append(try AutoencoderStudy(.decoder, self))
      if checkpoint.hasEncoder { halves.append(try AutoencoderStudy(.encoder, self)) }
    }
    let journal = QuantizationJournal(path: options.statePath, key: key(network.requests))
    let work = QuantizationWork(
      operationCount: network.operationCount
        + halves.reduce(0) { $0 + $1.operationCount(imageCount: network.requests.count) },
      report: progress)
    work.save = { try journal.save() }

    var parts = [try await network.part(journal, work)]
    var file: [String: QuantizationFile.Part] = [
      checkpoint.name(of: .network): parts[0].scales
    ]
    for half in halves {
      let part = try await half.part(journal, work)
      parts.append(part)
      let name = checkpoint.name(of: .autoencoder)
      file[name, default: part.scales].layers.merge(part.scales.layers) { first, _ in first }
    }
    let calibration = [
      "made_by": "streamflow \(streamFlowVersion)", "prompts": "\(network.requests.count)",
      "size": "\(width)x\(height)", "evaluations": "\(journal.state.observations.evaluationCount)",
      "range": options.range.rawValue, "float_share": "\(options.floatShare)",
    ]
    return QuantizationReport(
      parts: parts.map(\.report),
      evaluationCount: journal.state.observations.evaluationCount,
      file: try QuantizationFile(calibration: calibration, parts: file).serialized())
  }

  /// Removes the saved state of a quantization whose report was written.
  public func removeState() {
    QuantizationJournal(path: options.statePath, key: "").remove()
  }

  /// The prompts; of the standard ones as many as the budget allows.
  ///
  /// - Parameter operationCount: the operations of an image.
  func prompts(operationCount: Int) -> [String] {
    if let prompts = options.prompts { return prompts }
    let affordable = Self.calibrationBudget / max(operationCount, 1)
    return Array(
      QuantizationOptions.standardPrompts.prefix(max(affordable, Self.leastPromptCount)))
  }

  /// Identifies the quantization: the weights, the images, the options.
  private func key(_ requests: [GenerationRequest]) -> String {
    let settings = requests.map { request in
      "\(request.prompt) \(request.stepCount) \(request.guidance) \(request.schedule)"
    }
    return
      ([
        streamFlowVersion, checkpoint.networkWeights.fingerprint,
        checkpoint.autoencoderWeights.fingerprint, "\(width)x\(height)", options.range.rawValue,
        "\(options.floatShare)", "\(options.includesAutoencoder)", "\(engines.device)",
        "\(engines.options)",
      ] + settings).joined(separator: "\n")
  }
}
