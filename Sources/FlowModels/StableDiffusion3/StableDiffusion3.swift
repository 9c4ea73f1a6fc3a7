internal import FlowCore
internal import FlowGraph

/// Stable Diffusion 3 and 3.5: a transformer over one sequence of image and text, with two CLIP
/// text encoders and T5 (Esser et al., 2024, arXiv:2403.03206).
struct StableDiffusion3: ModelFamily {
  static let pipelines = ["StableDiffusion3Pipeline"]

  /// The configuration of `transformer/config.json`.
  private(set) var transformer: SD3TransformerConfiguration
  /// The two CLIP encoders, each of which reads one chunk of a prompt.
  let clip: [CLIPTextEncoding]
  /// T5; if nil, the network reads one token of zeros that counts for as many as T5 has
  /// (``SD3TransformerConfiguration/lastTextTokenCount``).
  let t5: T5TextEncoding?

  /// The number of T5 tokens, diffusers' default (`max_sequence_length`).
  static let t5TokenCount = 256

  /// - Throws: `fileInvalid` if network and text encoders do not match.
  init(
    _ transformer: SD3TransformerConfiguration, clip: [CLIPTextEncoding], t5: T5TextEncoding?,
    path: String
  ) throws(ModelError) {
    self.transformer = transformer
    self.transformer.lastTextTokenCount = t5 == nil ? Self.t5TokenCount : 1
    self.clip = clip
    self.t5 = t5
    func check(_ fits: Bool, _ problem: String) throws(ModelError) {
      guard !fits else { return }
      throw ModelError(code: .fileInvalid, message: "'\(path)': \(problem)")
    }
    let width = clip.reduce(0) { $0 + $1.width }
    try check(
      width <= transformer.textWidth,
      "the CLIP encoders are \(width) wide together (hidden_size), the network reads "
        + "\(transformer.textWidth) (joint_attention_dim)")
    // An encoder without a projection returns its pooled text unprojected.
    let pooledWidth = clip.reduce(0) { $0 + ($1.configuration.projectionWidth ?? $1.width) }
    try check(
      pooledWidth == transformer.pooledWidth,
      "the CLIP encoders give pooled texts \(pooledWidth) wide together (projection_dim, "
        + "text_projection.weight), the network reads \(transformer.pooledWidth) "
        + "(pooled_projection_dim)")
    let counts = Set(clip.map(\.tokenCount))
    try check(
      counts.count == 1,
      "the CLIP encoders read \(counts.sorted()) tokens (max_position_embeddings), which must be "
        + "the same")
    if let t5 {
      try check(
        t5.width == transformer.textWidth,
        "T5 is \(t5.width) wide (d_model), the network reads \(transformer.textWidth) "
          + "(joint_attention_dim)")
    }
  }

  var textEncoders: [any TextEncoding] { clip + (t5.map { [$0] } ?? []) }
  var conditioningLayout: ConditioningLayout { .joint }
  var chunkTokenCount: Int { clip[0].tokenCount + (t5 == nil ? 1 : Self.t5TokenCount) }
  var readsGuidanceScale: Bool { false }
  var zeroesEmptyPrompt: Bool { false }
  var textWidth: Int { transformer.textWidth }
  var readsPooledText: Bool { true }
  var skippableLayerCount: Int { transformer.layerCount }
  var variant: String? { transformer.variant.rawValue }

  var latentSpace: LatentSpace {
    LatentSpace(
      channels: transformer.channels, height: transformer.sampleSize,
      width: transformer.sampleSize, published: transformer.channels == 16 ? .taesd3 : nil,
      alignment: transformer.patchSize)
  }

  func imageTokenCount(latentPixels: Int) -> Int {
    latentPixels / (transformer.patchSize * transformer.patchSize)
  }

  /// CLIP's states, concatenated by width and padded with zeros to T5's width, followed by T5's
  /// states; the pooled states are concatenated.
  func states(of encoded: [EncodedText]) throws(ModelError) -> TextStates {
    precondition(
      encoded.count == textEncoders.count && encoded.allSatisfy { $0.chunkCount == 1 },
      "a text of one chunk for each encoder")
    let tokenCount = clip[0].tokenCount
    var hidden = [Float](repeating: 0, count: chunkTokenCount * textWidth)
    var column = 0
    for text in encoded.prefix(clip.count) {
      for token in 0..<tokenCount {
        for index in 0..<text.width {
          hidden[token * textWidth + column + index] = text.hidden[token * text.width + index]
        }
      }
      column += text.width
    }
    if t5 != nil, let text = encoded.last {
      hidden.replaceSubrange((tokenCount * textWidth)..., with: text.hidden)
    }
    return TextStates(
      hidden: hidden, pooled: encoded.prefix(clip.count).flatMap(\.pooled), chunkCount: 1,
      width: textWidth)
  }

  func conditioning(
    of states: TextStates?, guidanceScale: Float, size: PixelSize
  ) -> Conditioning {
    Conditioning(
      text: .init(
        "hidden", states?.hidden ?? [Float](repeating: 0, count: chunkTokenCount * textWidth)),
      timeInputs: [
        .init("pooled", states?.pooled ?? [Float](repeating: 0, count: transformer.pooledWidth))
      ], chunkCount: 1)
  }

  // MARK: - Graphs

  func network(
    _ shape: BatchShape, precomputed: Set<PortName>, adapters: [any NetworkAdapter],
    weights: WeightScope
  ) throws(GraphError) -> Graph {
    try SD3Transformer(configuration: transformer, weights: weights).graph(
      shape, readsModulation: precomputed.contains(SD3Transformer.modulationInput),
      adapters: adapters)
  }

  /// The modulation, at every size: ticks need not read its weights, a third of the network's.
  func precomputedInputs(
    _ shape: BatchShape, only: Set<PortName>?, weights: WeightScope
  ) throws(GraphError) -> [PrecomputedInput] {
    let name = SD3Transformer.modulationInput
    guard only?.contains(name) != false else { return [] }
    let network = SD3Transformer(configuration: transformer, weights: weights)
    return [
      PrecomputedInput(
        name: name, dependency: .timestep, graph: try network.modulationGraph())
    ]
  }

  // MARK: - Components

  /// About sixteen tensors of token width, where those of feed-forward layers count fourfold;
  /// attention scores are never materialized.
  func activationByteCount(latentPixels: Double) -> Double {
    let area = Double(transformer.patchSize * transformer.patchSize)
    return (latentPixels / area + Double(chunkTokenCount)) * Double(transformer.width) * 4 * 16
  }

  func floatLayers(weights: WeightScope) throws(GraphError) -> Set<String> {
    SD3Transformer(configuration: transformer, weights: weights).floatLayers()
  }
}
