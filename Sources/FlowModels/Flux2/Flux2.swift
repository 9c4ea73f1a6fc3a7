internal import FlowCore
internal import FlowGraph

/// FLUX.2 klein and klein base: a `Flux2Transformer2DModel` that reads three hidden states of Qwen3
/// in one sequence with the image.
///
/// klein KV was trained so that reference images read nothing but each other: their keys and values
/// are computed once, and kept for all steps.
struct Flux2: ModelFamily {
  static let pipelines = ["Flux2KleinPipeline", cachingPipeline]
  /// The pipeline of klein KV.
  static let cachingPipeline = "Flux2KleinKVPipeline"

  /// The configuration of `transformer/config.json`.
  let transformer: Flux2TransformerConfiguration
  /// The text encoder of the hidden states.
  let qwen: Qwen3TextEncoding
  /// ``distilled`` if the model was distilled to few steps without guidance.
  let variant: String?
  /// Whether the scheduler shifts times by image size.
  let shiftsDynamically: Bool
  /// Whether the keys and values of reference images are computed once.
  let cachesReferences: Bool

  /// The variant for few steps without guidance.
  static let distilled = "distilled"
  /// The tokens of a prompt including template and padding; all of them are read.
  static let tokenCount = 512
  /// The hidden states that are concatenated.
  static let textStates = [9, 18, 27]

  /// - Throws: `fileInvalid` if network and text encoder do not match.
  init(
    _ transformer: Flux2TransformerConfiguration, qwen: Qwen3TextEncoding, isDistilled: Bool,
    shiftsDynamically: Bool, cachesReferences: Bool, path: String
  ) throws(ModelError) {
    self.transformer = transformer
    self.qwen = qwen
    variant = isDistilled ? Self.distilled : nil
    self.shiftsDynamically = shiftsDynamically
    self.cachesReferences = cachesReferences
    guard !cachesReferences || !transformer.readsGuidance else {
      throw ModelError(
        code: .unsupported,
        message: "'\(path)' is \(Self.cachingPipeline), whose network reads no guidance scale, and "
          + "guidance_embeds of its transformer is true; use a model of the other pipeline")
    }
    guard qwen.width == transformer.textWidth else {
      throw ModelError(
        code: .fileInvalid,
        message: "'\(path)': \(Self.textStates.count) hidden states of \(qwen.name) are "
          + "\(qwen.width) wide together (hidden_size), the network reads "
          + "\(transformer.textWidth) (joint_attention_dim); they do not match")
    }
  }

  var textEncoders: [any TextEncoding] { [qwen] }
  var conditioningLayout: ConditioningLayout { .joint }
  var spacing: FlowMatchingSchedule.Spacing { .uniform }
  var readsGuidanceScale: Bool { transformer.readsGuidance }
  var zeroesEmptyPrompt: Bool { false }
  var textWidth: Int { transformer.textWidth }
  var readsPooledText: Bool { false }
  var references: ReferenceReading? { .cropped }
  var readsReferenceTable: Bool { cachesReferences }

  var latentSpace: LatentSpace {
    // 1024 pixels, which no file specifies. A latent pixel is a patch of the autoencoder's latents.
    LatentSpace(channels: transformer.channels, height: 64, width: 64, published: .taef2)
  }

  func imageTokenCount(latentPixels: Int) -> Int { latentPixels }

  /// Interpolates, by the number of steps, between two linear functions of the number of tokens,
  /// which were fitted to 10 and 200 steps; for large images, the second function alone
  /// (`compute_empirical_mu`).
  func timeShift(stepCount: Int, imageTokenCount: Int) -> TimeShift? {
    guard shiftsDynamically else { return nil }
    let tokens = Double(imageTokenCount)
    let at200 = 0.00016927 * tokens + 0.45666666
    guard imageTokenCount <= 4300 else { return .exponential(mu: at200) }
    let at10 = 8.73809524e-05 * tokens + 1.89833333
    return .exponential(mu: at200 + (at200 - at10) / 190 * Double(stepCount - 200))
  }

  func states(of encoded: [EncodedText]) throws(ModelError) -> TextStates {
    TextStates(
      hidden: encoded[0].hidden, pooled: [], chunkCount: encoded[0].chunkCount, width: textWidth)
  }

  func conditioning(
    of states: TextStates?, guidanceScale: Float, size: PixelSize
  ) -> Conditioning {
    let hidden = states?.hidden ?? [Float](repeating: 0, count: chunkTokenCount * textWidth)
    return Conditioning(
      text: .init("hidden", hidden),
      timeInputs: readsGuidanceScale ? [.init("guidance", [guidanceScale])] : [],
      chunkCount: states?.chunkCount ?? 1)
  }

  // MARK: - Graphs

  func network(
    _ shape: BatchShape, precomputed: Set<PortName>, adapters: [any NetworkAdapter],
    weights: WeightScope
  ) throws(GraphError) -> Graph {
    try Flux2Transformer(configuration: transformer, weights: weights).graph(
      shape, references: shape.references, cachesReferences: cachesReferences,
      readsModulation: precomputed.contains(Flux2Transformer.modulationInput),
      adapters: adapters)
  }

  /// The modulation, at every size: it does not depend on the sample.
  func precomputedInputs(
    _ shape: BatchShape, only: Set<PortName>?, weights: WeightScope
  ) throws(GraphError) -> [PrecomputedInput] {
    let name = Flux2Transformer.modulationInput
    guard only?.contains(name) ?? true else { return [] }
    let network = Flux2Transformer(configuration: transformer, weights: weights)
    return [
      PrecomputedInput(name: name, dependency: .timestep, graph: try network.modulationGraph())
    ]
  }

  func referenceTable(
    of references: [LatentSize], weights: WeightScope
  ) throws(GraphError) -> Graph {
    try Flux2Transformer(configuration: transformer, weights: weights)
      .referenceTable(of: references)
  }

  // MARK: - Components

  /// About two dozen tensors over all tokens: that of a single block's first layer is nine times as
  /// wide, and attention scores are never materialized.
  func activationByteCount(latentPixels: Double) -> Double {
    (latentPixels + Double(Self.tokenCount)) * Double(transformer.width) * 4 * 24
  }

  /// The table, or what the tokens add to every layer.
  func referenceByteCount(latentPixels: Double) -> Double {
    let layers = transformer.layerCount + transformer.singleLayerCount
    return latentPixels * Double(transformer.width) * 4
      * (cachesReferences ? Double(4 * layers) : 24)
  }

  func layerName(ofOriginal name: String) -> String? { nil }

  func layerParts(ofOriginal name: String) -> LayerParts? { Flux2Names.layer(name) }

  /// The first and the last layers, and those that run once per timestep.
  func floatLayers(weights: WeightScope) throws(GraphError) -> Set<String> {
    Flux2Transformer(configuration: transformer, weights: weights).floatLayers
  }
}

extension Flux2Transformer {
  /// The layers that always compute in float32.
  var floatLayers: Set<String> {
    let embedders = ["timestep_embedder", "guidance_embedder"].flatMap { name in
      ["linear_1", "linear_2"].map { weights["time_guidance_embed"][name][$0] }
    }
    let ends = ["x_embedder", "context_embedder", "proj_out"].map { weights[$0] }
    return Set((embedders + timeLayers + ends).map(\.path))
  }
}
