internal import FlowCore
internal import FlowGraph

/// FLUX.1 schnell, dev and Kontext: a `FluxTransformer2DModel` that reads T5's hidden states in one
/// sequence with the image, and CLIP's pooled text with the time.
struct Flux: ModelFamily {
  static let pipelines = ["FluxPipeline", kontextPipeline, fillPipeline]
  /// The pipeline of the variant that repaints masked parts.
  static let fillPipeline = "FluxFillPipeline"
  /// The pipeline of the variant that edits a reference image.
  static let kontextPipeline = "FluxKontextPipeline"

  /// The configuration of `transformer/config.json`.
  let transformer: FluxTransformerConfiguration
  /// The text encoder of the pooled text.
  let clip: CLIPTextEncoding
  /// The text encoder of the hidden states.
  let t5: T5TextEncoding
  /// ``kontext``, ``fill``, or nil for a model of texts alone.
  let variant: String?

  /// The variant that edits a reference image.
  static let kontext = "kontext"
  /// The variant that repaints masked parts.
  static let fill = "fill"

  /// - Throws: `fileInvalid` if network and text encoders do not match.
  init(
    _ transformer: FluxTransformerConfiguration, clip: CLIPTextEncoding, t5: T5TextEncoding,
    variant: String?, path: String
  ) throws(ModelError) {
    self.transformer = transformer
    self.clip = clip
    self.t5 = t5
    self.variant = transformer.maskChannels > 0 ? Self.fill : variant
    func check(_ width: Int, of encoder: String, is read: Int, _ key: String) throws(ModelError) {
      guard width == read else {
        throw ModelError(
          code: .fileInvalid,
          message: "'\(path)': \(encoder) is \(width) wide, the network reads \(read) (\(key)); "
            + "they do not match")
      }
    }
    try check(
      clip.width, of: clip.name, is: transformer.pooledWidth, "pooled_projection_dim")
    try check(t5.width, of: t5.name, is: transformer.textWidth, "joint_attention_dim")
  }

  /// The number of T5 tokens with which the network was trained: half as many for models distilled
  /// to few steps.
  static func tokenCount(_ transformer: FluxTransformerConfiguration) -> Int {
    transformer.readsGuidance ? 512 : 256
  }

  var textEncoders: [any TextEncoding] { [clip, t5] }
  var chunkTokenCount: Int { t5.tokenCount }
  var conditioningLayout: ConditioningLayout { .joint }
  var spacing: FlowMatchingSchedule.Spacing { .uniform }
  var readsGuidanceScale: Bool { transformer.readsGuidance }
  var zeroesEmptyPrompt: Bool { false }
  var textWidth: Int { transformer.textWidth }
  var readsPooledText: Bool { true }
  var maskedImage: MaskedImageLayout? { transformer.maskChannels > 0 ? .pixels : nil }
  var references: ReferenceReading? { variant == Self.kontext ? .preferredSizes : nil }

  var latentSpace: LatentSpace {
    // 1024 pixels, which no file specifies.
    LatentSpace(
      channels: transformer.channels, height: 128, width: 128, published: .taef1,
      alignment: FluxTransformerConfiguration.patchSide)
  }

  /// T5's hidden states, and the pooled text of CLIP's first chunk.
  func states(of encoded: [EncodedText]) throws(ModelError) -> TextStates {
    let (clip, t5) = (encoded[0], encoded[1])
    return TextStates(
      hidden: t5.hidden, pooled: clip.pooled, chunkCount: t5.chunkCount, width: t5.width)
  }

  func conditioning(
    of states: TextStates?, guidanceScale: Float, size: PixelSize
  ) -> Conditioning {
    let pooled = states?.pooled ?? [Float](repeating: 0, count: transformer.pooledWidth)
    let hidden = states?.hidden ?? [Float](repeating: 0, count: t5.tokenCount * textWidth)
    var timeInputs = [Conditioning.Input("pooled", pooled)]
    if transformer.readsGuidance { timeInputs.append(.init("guidance", [guidanceScale])) }
    return Conditioning(
      text: .init("hidden", hidden), timeInputs: timeInputs, chunkCount: states?.chunkCount ?? 1)
  }

  // MARK: - Graphs

  func network(
    _ shape: BatchShape, precomputed: Set<PortName>, adapters: [any NetworkAdapter],
    weights: WeightScope
  ) throws(GraphError) -> Graph {
    try FluxTransformer(configuration: transformer, weights: weights).graph(
      shape, references: shape.references,
      readsModulation: precomputed.contains(FluxTransformer.modulationInput),
      adapters: adapters)
  }

  /// The modulation, at every size: its weights are a quarter of the network's, and every row of a
  /// batch would read all of them.
  func precomputedInputs(
    _ shape: BatchShape, only: Set<PortName>?, weights: WeightScope
  ) throws(GraphError) -> [PrecomputedInput] {
    let name = FluxTransformer.modulationInput
    guard only?.contains(name) ?? true else { return [] }
    let network = FluxTransformer(configuration: transformer, weights: weights)
    return [
      PrecomputedInput(name: name, dependency: .timestep, graph: try network.modulationGraph())
    ]
  }

  // MARK: - Components

  /// About two dozen tensors over all tokens: those of a single block's feed-forward are four times
  /// as wide, and attention scores are never materialized.
  func activationByteCount(latentPixels: Double) -> Double {
    let area = Double(
      FluxTransformerConfiguration.patchSide * FluxTransformerConfiguration.patchSide)
    return (latentPixels / area + Double(t5.tokenCount)) * Double(transformer.width) * 4 * 24
  }

  func layerName(ofOriginal name: String) -> String? { nil }

  func layerParts(ofOriginal name: String) -> LayerParts? { FluxNames.layer(name) }

  func floatLayers(weights: WeightScope) throws(GraphError) -> Set<String> {
    FluxTransformer(configuration: transformer, weights: weights).floatLayers()
  }
}

extension FluxTransformer {
  /// The layers that always compute in float32: the first and the last, and those that run once per
  /// prompt or timestep.
  func floatLayers() -> Set<String> {
    let names =
      ["timestep_embedder", "text_embedder"]
      + (configuration.readsGuidance ? ["guidance_embedder"] : [])
    let embedders = names.flatMap { name in
      ["linear_1", "linear_2"].map { weights["time_text_embed"][name][$0].path }
    }
    return Set(
      ["x_embedder", "context_embedder", "proj_out"].map { weights[$0].path } + embedders
        + modulationLayers().map(\.path))
  }
}
