internal import FlowCore
internal import FlowGraph

/// Stable Diffusion 1, 2 and XL, and models distilled from them: a `UNet2DConditionModel` that
/// attends to the hidden states of one or two CLIP text encoders.
struct StableDiffusion: ModelFamily {
  static let pipelines = [
    "StableDiffusionPipeline", "StableDiffusionXLPipeline", "RectifiedFlowPipeline",
    "LatentConsistencyModelPipeline",
  ]

  /// The configuration of `unet/config.json`.
  private(set) var unet: UNetConfiguration
  let encoders: [CLIPTextEncoding]
  let zeroesEmptyPrompt: Bool

  /// - Throws: `fileInvalid` if network and text encoders do not match.
  init(
    _ unet: UNetConfiguration, encoders: [CLIPTextEncoding], zeroesEmptyPrompt: Bool, path: String
  ) throws(ModelError) {
    self.unet = unet
    self.encoders = encoders
    self.zeroesEmptyPrompt = zeroesEmptyPrompt
    func invalid(_ problem: String) -> ModelError {
      ModelError(code: .fileInvalid, message: "'\(path)': \(problem)")
    }
    let width = encoders.reduce(0) { $0 + $1.width }
    guard width == unet.conditioningWidth else {
      throw invalid(
        "the text encoder is \(width) wide (hidden_size), the network reads "
          + "\(unet.conditioningWidth) (cross_attention_dim)")
    }
    let counts = Set(encoders.map(\.tokenCount))
    guard counts.count == 1 else {
      throw invalid(
        "the text encoders read \(counts.sorted()) tokens (max_position_embeddings), which must be "
          + "the same")
    }
    if let addition = unet.addition {
      let pooled = encoders.last?.configuration.projectionWidth
      guard pooled == addition.pooledWidth else {
        throw invalid(
          "the network reads a pooled text \(addition.pooledWidth) wide "
            + "(projection_class_embeddings_input_dim), the last text encoder gives "
            + "\(pooled.map { "\($0)" } ?? "none") (projection_dim, text_projection.weight)")
      }
    }
  }

  /// Whether it is Stable Diffusion XL or similar: its network reads a pooled text and sizes.
  var isXL: Bool { unet.addition != nil }

  var textEncoders: [any TextEncoding] { encoders }
  var conditioningLayout: ConditioningLayout { .crossAttention }
  var readsGuidanceScale: Bool { unet.guidanceWidth != nil }
  var textWidth: Int { unet.conditioningWidth }
  var readsPooledText: Bool { isXL }

  var latentSpace: LatentSpace {
    // The autoencoders of all these models reduce each side to an eighth.
    LatentSpace(
      channels: unet.outputChannels, height: unet.sampleSize[0], width: unet.sampleSize[1],
      published: unet.outputChannels != 4 ? nil : isXL ? .taesdxl : .taesd)
  }

  /// The concatenated states of all encoders; the pooled state is the last one's.
  func states(of encoded: [EncodedText]) throws(ModelError) -> TextStates {
    let counts = Set(encoded.map(\.chunkCount))
    guard counts.count == 1, let chunkCount = counts.first else {
      throw ModelError(
        code: .requestInvalid,
        message: "the text encoders split a prompt into \(counts.sorted()) chunks, since their "
          + "tokenizers differ; shorten it, or read it as plain", settings: [.promptSyntax])
    }
    let tokens = chunkCount * encoders[0].tokenCount
    var hidden = [Float](repeating: 0, count: tokens * textWidth)
    var column = 0
    for text in encoded {
      for token in 0..<tokens {
        for index in 0..<text.width {
          hidden[token * textWidth + column + index] = text.hidden[token * text.width + index]
        }
      }
      column += text.width
    }
    return TextStates(
      hidden: hidden, pooled: encoded.last?.pooled ?? [], chunkCount: chunkCount,
      width: textWidth)
  }

  var maskedImage: MaskedImageLayout? { unet.readsMaskedImage ? .cells : nil }

  func conditioning(
    of states: TextStates?, guidanceScale: Float, size: PixelSize
  ) -> Conditioning {
    let zeros = [Float](repeating: 0, count: encoders[0].tokenCount * textWidth)
    var timeInputs: [Conditioning.Input] = []
    if let addition = unet.addition {
      let zeros = [Float](repeating: 0, count: addition.pooledWidth)
      // Original size, top left corner of the crop, and target size, as Stable Diffusion XL reads
      // them.
      let sizes = [size.height, size.width, 0, 0, size.height, size.width].map(Float.init)
      timeInputs += [.init("pooled", states?.pooled ?? zeros), .init("sizes", sizes)]
    }
    if unet.guidanceWidth != nil {
      timeInputs.append(.init("guidance", [(guidanceScale - 1) * 1000]))
    }
    return Conditioning(
      text: .init("hidden", states?.hidden ?? zeros), timeInputs: timeInputs,
      chunkCount: states?.chunkCount ?? 1)
  }

  /// The same model with keys and values of its largest self-attention downsampled.
  func downsamplingKeys(by factor: Int) -> StableDiffusion {
    var copy = self
    copy.unet.keyDownsampling = factor
    return copy
  }

  // MARK: - Graphs

  func network(
    _ shape: BatchShape, precomputed: Set<PortName>, adapters: [any NetworkAdapter],
    weights: WeightScope
  ) throws(GraphError) -> Graph {
    try UNet(configuration: unet, weights: weights).graph(
      shape, tables: UNet.Tables(precomputed), adapters: adapters)
  }

  func precomputedInputs(
    _ shape: BatchShape, only: Set<PortName>?, weights: WeightScope
  ) throws(GraphError) -> [PrecomputedInput] {
    let network = UNet(configuration: unet, weights: weights)
    let tables =
      if let only { UNet.Tables(only) } else { try network.worthwhileTables(shape) }
    return try tables.inputs.map { name throws(GraphError) in
      name == UNet.Tables.textInput
        ? PrecomputedInput(
          name: name, dependency: .text,
          graph: try network.textTableGraph(tokens: encoders[0].tokenCount))
        : PrecomputedInput(
          name: name, dependency: .timestep, graph: try network.timeTableGraph())
    }
  }

  // MARK: - Components

  /// About two dozen tensors of the first level.
  ///
  /// Attention scores are never materialized, since the engine fuses attention.
  func activationByteCount(latentPixels: Double) -> Double {
    latentPixels * Double(unet.levels[0].channels) * 4 * 24
  }

  func layerName(ofOriginal name: String) -> String? {
    OriginalNames.unet(name, layersPerBlock: unet.levels[0].layerCount)
  }

  func floatLayers(weights: WeightScope) throws(GraphError) -> Set<String> {
    try UNet(configuration: unet, weights: weights).floatLayers()
  }
}
