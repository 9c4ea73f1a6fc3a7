internal import FlowCore
internal import FlowEngine
internal import FlowGraph
internal import FlowModels

/// The quantization of one half of the autoencoder, measured on the images of the network's study.
struct AutoencoderStudy {
  /// The decoder or the encoder.
  enum Half: String {
    case decoder, encoder
  }

  private let half: Half
  private let quantizer: Quantizer
  private let autoencoder: Autoencoder
  private let size: (height: Int, width: Int)
  private let names: Set<String>
  private let layers: LayerChoice
  private let graphOperationCount: Int
  private let trialOperationCount: Int

  /// The maximum side in latent pixels in the sensitivity study.
  private static let side = 16

  init(_ half: Half, _ quantizer: Quantizer) throws {
    let checkpoint = quantizer.checkpoint
    let factor = checkpoint.autoencoder.factor
    size = (quantizer.height / factor, quantizer.width / factor)
    autoencoder = Autoencoder(
      configuration: checkpoint.autoencoder, weights: checkpoint.autoencoderWeights.root)
    let graph = try Self.graph(half, autoencoder, size)
    names = autoencoder.quantizableLayers(of: graph)
    graphOperationCount = graph.operationCount
    trialOperationCount = try Self.graph(half, autoencoder, Self.small(size)).operationCount
    layers = LayerChoice(names, of: graph, trialOperationCount: trialOperationCount)
    self.half = half
    self.quantizer = quantizer
  }

  /// The floating-point operations of the whole study, compilations included.
  func operationCount(imageCount: Int) -> Int {
    graphOperationCount * imageCount
      + layers.operationCount(
        trialOperationCount: trialOperationCount, operationCount: graphOperationCount,
        parameterCount: weights.parameterCount, floatShare: quantizer.options.floatShare)
  }

  private var weights: WeightStore { quantizer.checkpoint.autoencoderWeights }

  /// Measures the half, or takes it from a saved state.
  func part(
    _ journal: QuantizationJournal, _ work: QuantizationWork,
    isolation: isolated (any Actor)? = #isolation
  ) async throws -> QuantizationState.Part {
    let saved = half == .decoder ? journal.state.decoder : journal.state.encoder
    let inputs = half == .decoder ? journal.state.observations.latents : journal.state.images
    if let saved {
      work.skip(operationCount(imageCount: inputs.count))
      return saved
    }
    let end = work.done + Double(operationCount(imageCount: inputs.count))
    let (run, outputs) = try await observe(inputs, work)
    let output: PortName = half == .decoder ? "pixels" : "latents"
    let configuration = autoencoder.configuration
    let (half, size) = (half, size)
    let trial = Trial(
      name: "vae \(half)", weights: weights, layers: layers,
      engines: quantizer.engines, floatShare: quantizer.options.floatShare,
      output: output, work: work
    ) {
      try Self.graph(half, Autoencoder(configuration: configuration, weights: $0.root), size)
    } smallGraph: {
      try Self.graph(
        half, Autoencoder(configuration: configuration, weights: $0.root), Self.small(size))
    } small: { inputs in
      let factor = configuration.factor
      let (shape, side): (Shape, Int) =
        half == .decoder
        ? ([configuration.latentChannels, size.height, size.width], Self.side)
        : ([size.height * factor, size.width * factor, 3], Self.side * factor)
      return inputs.map { $0.cropped(shape, side: side) }
    }
    let outcome = try await trial.choose(
      of: run.quantization(of: weights.root, by: quantizer.options.range),
      probes: zip(inputs, outputs).map { Trial.Probe(inputs: [$0], output: $1) })
    let part = QuantizationState.Part(
      scales: QuantizationFile.Part(outcome.quantization, fingerprint: weights.fingerprint),
      report: outcome.report)
    switch half {
    case .decoder:
      journal.state.decoder = part
      journal.state.images = outputs.map { .bytes($0.map { UInt8($0) }) }
    case .encoder: journal.state.encoder = part
    }
    try journal.save()
    try work.end(at: end)
    return part
  }

  private func observe(
    _ inputs: [CalibrationInput], _ work: QuantizationWork,
    isolation: isolated (any Actor)? = #isolation
  ) async throws -> (CalibrationRun, outputs: [[Float]]) {
    try work.begin("compiling the \(half) in float32")
    let run = try await CalibrationRun(
      Self.graph(half, autoencoder, size), layers: names, elementCount: Quantizer.elementCount,
      weightsIdentity: weights.identity, engines: quantizer.engines)
    try work.advance(by: weights.parameterCount * QuantizationWork.operationsPerCompiledWeight)
    let outputs = try inputs.enumerated().map { index, input in
      try work.begin("observing the \(half), \(index + 1) of \(inputs.count)")
      try run.run([input])
      try work.advance(by: graphOperationCount)
      return run.floats(half == .decoder ? "pixels" : "latents")
    }
    return (run, outputs)
  }

  private static func graph(
    _ half: Half, _ autoencoder: Autoencoder, _ size: (height: Int, width: Int)
  ) throws -> Graph {
    switch half {
    case .decoder: try autoencoder.decoderGraph(rows: 1, height: size.height, width: size.width)
    case .encoder: try autoencoder.encoderGraph(rows: 1, height: size.height, width: size.width)
    }
  }

  private static func small(_ size: (height: Int, width: Int)) -> (height: Int, width: Int) {
    (min(size.height, side), min(size.width, side))
  }
}
