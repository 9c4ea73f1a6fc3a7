internal import FlowCore
internal import FlowEngine
internal import FlowGraph
internal import FlowModels
internal import FlowText

/// The quantization of a model's network: images are generated in float32 while its layers are
/// observed.
struct NetworkStudy {
  /// One request for each image.
  let requests: [GenerationRequest]
  /// The floating-point operations of the whole study, compilations included.
  let operationCount: Int

  private let quantizer: Quantizer
  private let plans: [StepPlan]
  private let size: BatchShape
  private let layers: LayerChoice
  private let names: Set<String>

  /// The maximum side in latent pixels in the sensitivity study.
  private static let side = 16

  /// - Throws: a `ModelError` for an invalid plan, before anything is compiled.
  init(_ quantizer: Quantizer) throws {
    let (checkpoint, options) = (quantizer.checkpoint, quantizer.options)
    let factor = checkpoint.autoencoder.factor
    let (height, width) = (quantizer.height / factor, quantizer.width / factor)
    let weights = checkpoint.networkWeights
    func request(_ prompt: String, _ index: Int) -> GenerationRequest {
      var request = checkpoint.request(prompt, schedule: options.schedule)
      request.promptSyntax = .plain
      request.seed = UInt64(index)
      request.stepCount = options.stepCount ?? request.stepCount
      return request
    }
    func evaluations(_ request: GenerationRequest) -> Int {
      request.stepCount * request.guidance.rowsPerStep
    }
    func shape(tokens: Int) -> BatchShape {
      BatchShape(rows: 1, height: height, width: width, tokens: tokens)
    }
    let least = try checkpoint.network(shape(tokens: checkpoint.tokenCount), weights)
    let prompts = quantizer.prompts(
      operationCount: least.operationCount * evaluations(request("", 0)))
    let size = shape(
      tokens: try checkpoint.tokenCount(of: prompts.map(checkpoint.family.message) + [""]))
    let graph = try checkpoint.network(size, weights)
    requests = prompts.enumerated().map { request($1, $0) }
    plans = try requests.map {
      try checkpoint.plan(for: $0, width: quantizer.width, height: quantizer.height)
    }
    names = Set(graph.layers.map(\.name)).subtracting(
      try checkpoint.family.floatLayers(weights: weights.root))
    let small = try checkpoint.network(Self.small(size), weights).operationCount
    layers = LayerChoice(names, of: graph, trialOperationCount: small)
    operationCount =
      graph.operationCount * requests.reduce(0) { $0 + evaluations($1) }
      + layers.operationCount(
        trialOperationCount: small, operationCount: graph.operationCount,
        parameterCount: checkpoint.networkWeights.parameterCount, floatShare: options.floatShare)
    self.quantizer = quantizer
    self.size = size
  }

  /// Measures the network, or takes it from a saved state.
  func part(
    _ journal: QuantizationJournal, _ work: QuantizationWork,
    isolation: isolated (any Actor)? = #isolation
  ) async throws -> QuantizationState.Part {
    if let part = journal.state.network {
      work.skip(operationCount)
      return part
    }
    let (checkpoint, options) = (quantizer.checkpoint, quantizer.options)
    let weights = checkpoint.networkWeights
    let end = work.done + Double(operationCount)
    let quantization = try await observe(journal, work)
    let probes = journal.state.observations.probes.map(Trial.Probe.init)
    let trial = Trial(
      name: checkpoint.name(of: .network), weights: weights, layers: layers,
      engines: quantizer.engines,
      floatShare: options.floatShare, output: "output", work: work
    ) {
      try checkpoint.network(size, $0)
    } smallGraph: {
      try checkpoint.network(Self.small(size), $0)
    } small: { inputs in
      let shape: Shape = [checkpoint.family.latentSpace.channels, size.height, size.width]
      return [inputs[0].cropped(shape, side: Self.side)] + inputs.dropFirst()
    }
    let outcome = try await trial.choose(of: quantization, probes: probes)
    let part = QuantizationState.Part(
      scales: QuantizationFile.Part(outcome.quantization, fingerprint: weights.fingerprint),
      report: outcome.report)
    journal.state.network = part
    // Only the finished images are needed from here on.
    journal.state.observations.probes = []
    journal.state.observations.ranges = []
    try journal.save()
    try work.end(at: end)
    return part
  }

  /// Generates the images, and returns the scales of all layers that can compute in 8 bits.
  private func observe(
    _ journal: QuantizationJournal, _ work: QuantizationWork,
    isolation: isolated (any Actor)? = #isolation
  ) async throws -> Quantization {
    let (checkpoint, engines) = (quantizer.checkpoint, quantizer.engines)
    let weights = checkpoint.networkWeights
    try work.begin("compiling the network in float32")
    let graph = try checkpoint.network(size, weights)
    let operationCount = graph.operationCount
    let probeCount = max(Trial.verificationCount(operationCount: operationCount), layers.probeCount)
    let run = try await CalibrationRun(
      graph, layers: names, elementCount: Quantizer.elementCount,
      weightsIdentity: weights.identity, engines: engines,
      ranges: journal.state.observations.ranges.map(\.range))
    try work.advance(by: weights.parameterCount * QuantizationWork.operationsPerCompiledWeight)
    let conditioner = Conditioner(
      checkpoint,
      prompts: try await .make(
        checkpoint, skippedLayers: 0, provider: EngineProvider(engines)),
      size: PixelSize(width: quantizer.width, height: quantizer.height), table: nil)
    let evaluations = requests.reduce(0) { $0 + $1.stepCount * $1.guidance.rowsPerStep }
    for (index, request) in requests.enumerated() {
      guard index >= journal.state.observations.imageCount else {
        work.skip(operationCount * request.stepCount * request.guidance.rowsPerStep)
        continue
      }
      try work.begin("observing image \(index + 1) of \(requests.count)")
      var field = CalibrationField(
        run, probeInterval: evaluations / probeCount,
        evaluationCount: journal.state.observations.evaluationCount,
        operationCount: operationCount, work: work)
      let conditioning = try conditioner.conditioning(of: request)
      var batch = StreamBatch<Conditioning>(rowCapacity: 2)
      batch.admit(
        Trajectory(
          id: index, plan: plans[index], guidance: request.guidance,
          prompted: conditioning.prompted, unprompted: conditioning.unprompted,
          noise: request.noise,
          shape: [checkpoint.family.latentSpace.channels, size.height, size.width]))
      var latents: [CalibrationInput] = []
      while !batch.isEmpty {
        try batch.advance(along: &field)
        latents += batch.retire().map { .floats($0.sample.scalars) }
      }
      journal.state.observations.record(latents, of: field, ranges: run.ranges)
      try journal.saveNowAndThen()
    }
    try work.begin("measuring the scales of the network's weights")
    return try run.quantization(of: weights.root, by: quantizer.options.range)
  }

  private static func small(_ size: BatchShape) -> BatchShape {
    BatchShape(
      rows: 1, height: min(size.height, side), width: min(size.width, side), tokens: size.tokens)
  }
}

extension Checkpoint {
  /// The number of tokens that fits all texts, which are padded to it.
  ///
  /// Only networks that mask padding read texts of several lengths here; the texts of others take one
  /// chunk each.
  fileprivate func tokenCount(of texts: [String]) throws(ModelError) -> Int {
    let layout = family.conditioningLayout
    guard layout == .masked, let encoder = family.textEncoders.first else { return tokenCount }
    let counts = try texts.map { (text) throws(ModelError) in
      let chunks = encoder.chunks(of: text, syntax: .plain).chunks
      // The number of chunks does not depend on the states.
      let zeros = [Float](repeating: 0, count: chunks.count * encoder.tokenCount * encoder.width)
      return try family.states(of: [
        EncodedText(
          width: encoder.width, hidden: zeros, pooled: [], chunkCount: chunks.count,
          tokenCount: chunks[0].endIndex + 1)
      ]).chunkCount
    }
    return family.chunkTokenCount * counts.reduce(1, layout.common)
  }

  /// The network as it is quantized: nothing precomputed, no adapters.
  fileprivate func network(
    _ shape: BatchShape, _ weights: WeightStore
  ) throws(GraphError) -> Graph {
    try family.network(shape, precomputed: [], adapters: [], weights: weights.root)
  }
}

extension QuantizationState.Observations {
  fileprivate mutating func record(
    _ latents: [CalibrationInput], of field: CalibrationField, ranges: [TensorRange]
  ) {
    imageCount += 1
    evaluationCount = field.evaluationCount
    self.latents += latents
    probes += field.probes.map(QuantizationState.Probe.init)
    self.ranges = ranges.map(QuantizationState.Range.init)
  }
}
