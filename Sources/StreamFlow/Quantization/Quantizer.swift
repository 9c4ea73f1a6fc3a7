internal import FlowCore
public import FlowEngine
internal import FlowGraph

/// Measures a model's 8-bit scales: makes pictures, watches what every layer reads, and tries out
/// which layers' rounding is felt most.
public struct Quantizer {
  private let checkpoint: Checkpoint
  private let options: QuantizationOptions
  private let configuration: EngineConfiguration
  private let progress: (String) -> Void
  private let width: Int
  private let height: Int

  /// The elements that are taken of each tensor at every run.
  private static let elementCount = 512

  /// How many runs of a graph are compared in a trial: a dozen, or of a large one as many as do 2
  /// trillion operations, since each layer or block has a trial.
  private static func probeCount(of graph: Graph) -> Int {
    min(max(2_000_000_000_000 / max(graph.operationCount, 1), 2), 12)
  }

  /// - Parameters:
  ///   - checkpoint: the model.
  ///   - options: what is made, and how ranges are chosen.
  ///   - configuration: the device, its threads, the precision of what is compared with.
  ///   - progress: told what is being done, in a few words.
  /// - Throws: `requestInvalid` for a size that the model cannot make, or no prompts; `unsupported`
  ///   where something is added to the weights.
  public init(
    _ checkpoint: Checkpoint, options: QuantizationOptions = QuantizationOptions(),
    configuration: EngineConfiguration = EngineConfiguration(),
    progress: @escaping (String) -> Void = { _ in }
  ) throws(ModelError) {
    width = options.width ?? checkpoint.nativeSize.width
    height = options.height ?? checkpoint.nativeSize.height
    try checkpoint.check(width: width, height: height)
    guard !options.prompts.isEmpty, (0..<1).contains(options.floatShare) else {
      throw ModelError(
        code: .requestInvalid,
        message: "quantization needs a prompt, and a share of floats from 0 to below 1; got "
          + "\(options.prompts.count) prompts and \(options.floatShare)")
    }
    guard checkpoint.additions.isEmpty else {
      throw ModelError(
        code: .unsupported,
        message: "scales are measured for a model as it is; leave "
          + "\(checkpoint.additions.map(\.name).joined(separator: ", ")) out")
    }
    self.checkpoint = checkpoint
    self.options = options
    self.configuration = configuration
    self.progress = progress
  }

  /// Measures.
  public func run() throws -> QuantizationReport {
    let factor = checkpoint.autoencoder.factor
    let size = UNet.Size(
      rows: 1, height: height / factor, width: width / factor, tokens: checkpoint.tokenCount)
    var parts: [QuantizationReport.Part] = []
    var kept: [String: QuantizationFile.Part] = [:]

    let (latents, network, evaluationCount) = try watchNetwork(size)
    parts.append(network.report)
    kept[Checkpoint.QuantizedPart.network.rawValue] = QuantizationFile.Part(
      network.quantization, fingerprint: checkpoint.unetWeights.fingerprint)
    if options.includesAutoencoder {
      let (decoder, pictures) = try watch(
        "decoder", over: latents.map(\.scalars), reading: { (byte: UInt8) in Float(byte) }
      ) { try $0.decoderGraph(rows: 1, height: size.height, width: size.width) }
      var quantization = decoder.quantization
      parts.append(decoder.report)
      if checkpoint.hasEncoder {
        let (encoder, _) = try watch(
          "encoder", over: pictures, reading: { (latent: Float) in latent }
        ) { try $0.encoderGraph(rows: 1, height: size.height, width: size.width) }
        quantization.layers.merge(encoder.quantization.layers) { first, _ in first }
        parts.append(encoder.report)
      }
      kept[Checkpoint.QuantizedPart.autoencoder.rawValue] = QuantizationFile.Part(
        quantization, fingerprint: checkpoint.autoencoderWeights.fingerprint)
    }
    let file = QuantizationFile(
      calibration: [
        "made_by": "streamflow \(streamFlowVersion)", "prompts": "\(options.prompts.count)",
        "size": "\(width)x\(height)", "evaluations": "\(evaluationCount)",
        "range": options.range.rawValue, "float_share": "\(options.floatShare)",
      ], parts: kept)
    return QuantizationReport(
      parts: parts, evaluationCount: evaluationCount, file: try file.serialized())
  }

  // MARK: - The network

  private func watchNetwork(
    _ size: UNet.Size
  ) throws -> (latents: [Latents], Trial.Outcome, evaluationCount: Int) {
    let requests = options.prompts.enumerated().map { index, prompt in
      var request = checkpoint.request(prompt, schedule: options.schedule)
      request.promptSyntax = .plain
      request.seed = UInt64(index)
      request.stepCount = options.stepCount ?? request.stepCount
      return request
    }
    // What cannot be made is told before the minutes of compiling.
    let plans = try requests.map { try checkpoint.plan(for: $0, width: width, height: height) }
    progress("compiling the network in floats")
    let weights = checkpoint.unetWeights
    let network = UNet(configuration: checkpoint.unet, weights: weights.root)
    let graph = try network.graph(size)
    let layers = Set(graph.layers.map(\.name)).subtracting(try network.floatLayers())
    let run = try CalibrationRun(
      graph, layers: layers, elementCount: Self.elementCount, weightsIdentity: weights.identity,
      configuration: configuration)
    let conditioner = Conditioner(
      checkpoint,
      prompts: try PromptStates(
        checkpoint, skippedLayers: 0, configuration: configuration, cache: nil),
      width: width, height: height, table: nil)
    let evaluations = requests.reduce(0) { $0 + $1.stepCount * $1.guidance.rowsPerStep }
    var field = CalibrationField(
      run, rowCapacity: 2, probeInterval: evaluations / Self.probeCount(of: graph))
    var latents: [Latents] = []
    for (index, request) in requests.enumerated() {
      progress("watching picture \(index + 1) of \(requests.count)")
      let conditioning = try conditioner.conditioning(of: request)
      var batch = StreamBatch<Conditioning>(rowCapacity: 2)
      batch.admit(
        Trajectory(
          id: index, plan: plans[index], guidance: request.guidance,
          prompted: conditioning.prompted,
          unprompted: conditioning.unprompted, noise: request.noise,
          shape: [checkpoint.unet.inputChannels, size.height, size.width]))
      while !batch.isEmpty {
        try batch.advance(along: &field)
        latents += batch.retire().map(\.sample)
      }
    }
    progress("rounding the network's weights")
    let quantization = try run.quantization(of: weights.root, by: options.range)
    let probes = field.probes
    let trial = Trial(
      name: "unet", weights: weights, operations: operations(of: graph, in: layers),
      totalOperations: graph.operationCount, configuration: configuration,
      isLarge: weights.byteCount >= EngineCatalogue.largeByteCount, floatShare: options.floatShare,
      progress: progress
    ) { weights in
      try UNet(configuration: checkpoint.unet, weights: weights.root).graph(size)
    } evaluate: { session in
      var outputs: [[Float]] = []
      for probe in probes {
        let others = [probe.conditioning.text] + probe.conditioning.others
        for (index, scalars) in ([probe.sample, [probe.timestep]] + others).enumerated() {
          session.write(scalars.span, input: index)
        }
        try session.run()
        outputs.append(
          session.read(output: 0, as: Float.self) { span in span.indices.map { span[$0] } })
      }
      return outputs
    }
    let outcome = try trial.choose(of: quantization, expected: probes.map(\.output))
    return (latents, outcome, field.evaluationCount)
  }

  // MARK: - The autoencoder

  /// Watches a half of the autoencoder over some inputs, and tries its layers out.
  ///
  /// - Parameters:
  ///   - half: which, in a word.
  ///   - inputs: what goes in, one after another.
  ///   - float: an element of what comes out as a float.
  ///   - graph: writes the half down.
  private func watch<Input: BitwiseCopyable, Output: BitwiseCopyable>(
    _ half: String, over inputs: [[Input]], reading float: @escaping (Output) -> Float,
    graph make: @escaping (Autoencoder) throws -> Graph
  ) throws -> (Trial.Outcome, outputs: [[Output]]) {
    progress("watching the \(half)")
    let (weights, configured) = (checkpoint.autoencoderWeights, checkpoint.autoencoder)
    let autoencoder = Autoencoder(configuration: configured, weights: weights.root)
    let graph = try make(autoencoder)
    let layers = autoencoder.quantizableLayers(of: graph)
    let run = try CalibrationRun(
      graph, layers: layers, elementCount: Self.elementCount, weightsIdentity: weights.identity,
      configuration: configuration)
    let outputs = try inputs.map { input in
      run.write(input, input: 0)
      try run.run()
      return run.elements(output: 0, as: Output.self)
    }
    let probes = Array(inputs.prefix(Self.probeCount(of: graph)))
    let trial = Trial(
      name: "vae \(half)", weights: weights, operations: operations(of: graph, in: layers),
      totalOperations: graph.operationCount, configuration: configuration, isLarge: false,
      floatShare: options.floatShare, progress: progress
    ) { weights in
      try make(Autoencoder(configuration: configured, weights: weights.root))
    } evaluate: { session in
      var results: [[Float]] = []
      for probe in probes {
        session.write(probe.span, input: 0)
        try session.run()
        results.append(
          session.read(output: 0, as: Output.self) { span in span.indices.map { float(span[$0]) } })
      }
      return results
    }
    let outcome = try trial.choose(
      of: run.quantization(of: weights.root, by: options.range),
      expected: outputs.prefix(probes.count).map { $0.map(float) })
    return (outcome, outputs)
  }

  /// The operations of each layer.
  private func operations(of graph: Graph, in layers: Set<String>) -> [String: Int] {
    var operations: [String: Int] = [:]
    for layer in graph.layers where layers.contains(layer.name) {
      operations[layer.name, default: 0] += layer.operationCount
    }
    return operations
  }
}

extension UNet {
  /// The layers that compute in floats in any case: the first and the last convolution, and what is
  /// computed once a prompt or a timestep.
  func floatLayers() throws(GraphError) -> Set<String> {
    let embeddings = ["time_embedding", "add_embedding"].flatMap { name in
      ["linear_1", "linear_2", "cond_proj"].map { weights[name][$0].path }
    }
    return Set(
      ["conv_in", "conv_out"].map { weights[$0].path } + embeddings
        + (try textLayers().map(\.path)) + timeLayers().map(\.path))
  }
}

extension Autoencoder {
  /// The layers that can compute in 8 bits: all but the first and the last.
  func quantizableLayers(of graph: Graph) -> Set<String> {
    let names = graph.layers.map(\.name)
    return Set(names).subtracting([names.first, names.last].compactMap { $0 })
  }
}
