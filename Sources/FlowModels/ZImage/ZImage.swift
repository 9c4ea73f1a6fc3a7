internal import FlowCore
internal import FlowGraph

/// Z-Image and Z-Image-Turbo: a `ZImageTransformer2DModel` that reads Qwen3's hidden states in one
/// sequence with the image.
struct ZImage: ModelFamily {
  static let pipelines = ["ZImagePipeline"]

  /// The configuration of `transformer/config.json`.
  let transformer: ZImageTransformerConfiguration
  /// The text encoder of the hidden states.
  let qwen: Qwen3TextEncoding

  /// Maximum number of tokens of a prompt, including the template.
  static let tokenCount = 512

  /// - Throws: `fileInvalid` if network and text encoder do not match.
  init(
    _ transformer: ZImageTransformerConfiguration, qwen: Qwen3TextEncoding, path: String
  ) throws(ModelError) {
    self.transformer = transformer
    self.qwen = qwen
    try qwen.check(transformer.textWidth, "cap_feat_dim", ofModelAt: path)
  }

  var textEncoders: [any TextEncoding] { [qwen] }
  var conditioningLayout: ConditioningLayout { .masked }
  var chunkTokenCount: Int { ZImageTransformerConfiguration.tokenMultiple }
  var spacing: FlowMatchingSchedule.Spacing { .uniform }
  var readsGuidanceScale: Bool { false }
  var zeroesEmptyPrompt: Bool { false }
  var textWidth: Int { transformer.textWidth }
  var readsPooledText: Bool { false }

  var latentSpace: LatentSpace {
    // 1024 pixels, which no file specifies.
    LatentSpace(
      channels: transformer.channels, height: 128, width: 128, published: .taef1,
      alignment: ZImageTransformerConfiguration.patchSide)
  }

  /// The states of the prompt's own tokens, padded with zeros to a multiple of 32.
  func states(of encoded: [EncodedText]) throws(ModelError) -> TextStates {
    let text = encoded[0]
    return TextStates(
      text.hidden[..<(text.tokenCount * textWidth)], width: textWidth,
      paddedToChunksOf: chunkTokenCount)
  }

  func conditioning(
    of states: TextStates?, guidanceScale: Float, size: PixelSize
  ) -> Conditioning {
    let chunkCount = states?.chunkCount ?? 1
    let count = chunkCount * chunkTokenCount
    let hidden = states?.hidden ?? [Float](repeating: 0, count: count * textWidth)
    return Conditioning(
      text: .init("hidden", hidden),
      timeInputs: [
        .init("count", [Float(count)]), .init("realCount", [Float(states?.tokenCount ?? 0)]),
      ], chunkCount: chunkCount)
  }

  // MARK: - Graphs

  func network(
    _ shape: BatchShape, precomputed: Set<PortName>, adapters: [any NetworkAdapter],
    weights: WeightScope
  ) throws(GraphError) -> Graph {
    try ZImageTransformer(configuration: transformer, weights: weights).graph(
      shape, readsModulation: precomputed.contains(ZImageTransformer.modulationInput),
      adapters: adapters)
  }

  /// The modulation, at every size: it does not depend on the sample.
  func precomputedInputs(
    _ shape: BatchShape, only: Set<PortName>?, weights: WeightScope
  ) throws(GraphError) -> [PrecomputedInput] {
    let name = ZImageTransformer.modulationInput
    guard only?.contains(name) ?? true else { return [] }
    let network = ZImageTransformer(configuration: transformer, weights: weights)
    return [
      PrecomputedInput(name: name, dependency: .timestep, graph: try network.modulationGraph())
    ]
  }

  // MARK: - Components

  /// About two dozen tensors over all tokens: those of the feed-forward are nearly three times as
  /// wide, and attention scores are never materialized.
  func activationByteCount(latentPixels: Double) -> Double {
    let side = Double(ZImageTransformerConfiguration.patchSide)
    let tokens = latentPixels / (side * side) + Double(Self.tokenCount)
    return tokens * Double(transformer.width) * 4 * 24
  }

  func layerName(ofOriginal name: String) -> String? { nil }

  func layerParts(ofOriginal name: String) -> LayerParts? { ZImageNames.layer(name) }

  /// The first and the last layers, and those that run once per timestep.
  func floatLayers(weights: WeightScope) throws(GraphError) -> Set<String> {
    ZImageTransformer(configuration: transformer, weights: weights).floatLayers
  }
}

extension ZImageTransformer {
  /// The layers that always compute in float32.
  var floatLayers: Set<String> {
    let time = [weights["t_embedder"]["mlp"][0], weights["t_embedder"]["mlp"][2]] + timeLayers
    let ends = [
      weights["all_x_embedder"][Self.patch], weights["cap_embedder"][1],
      weights["all_final_layer"][Self.patch]["linear"],
    ]
    return Set((time + ends).map(\.path))
  }
}
