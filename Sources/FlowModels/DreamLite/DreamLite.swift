internal import FlowCore
internal import FlowGraph

/// DreamLite, text to image: a `DreamLiteUNetModel` that attends to the hidden states of Qwen3-VL's
/// language model.
///
/// Edits are not supported: their prompts contain the input image, which Qwen3-VL's vision tower
/// reads.
struct DreamLite: ModelFamily {
  static let pipelines = ["DreamLitePipeline", "DreamLiteMobilePipeline"]

  /// The configuration of `unet/config.json`.
  let configuration: DreamLiteConfiguration
  /// The text encoder of the hidden states.
  let qwen: Qwen3TextEncoding

  /// Maximum number of tokens of a prompt that the network reads.
  static let promptTokenCount = 200
  /// The tokens of the template before the prompt, which the network does not read.
  static let skippedTokenCount = 34

  /// - Throws: `fileInvalid` if network and text encoder do not match.
  init(
    _ configuration: DreamLiteConfiguration, qwen: Qwen3TextEncoding, path: String
  ) throws(ModelError) {
    self.configuration = configuration
    self.qwen = qwen
    try qwen.check(configuration.textWidth, "encoder_hid_dim", ofModelAt: path)
  }

  var textEncoders: [any TextEncoding] { [qwen] }
  var conditioningLayout: ConditioningLayout { .masked }
  var chunkTokenCount: Int { 32 }
  var spacing: FlowMatchingSchedule.Spacing { .uniform }
  var readsGuidanceScale: Bool { false }
  var zeroesEmptyPrompt: Bool { false }
  var textWidth: Int { configuration.textWidth }
  var readsPooledText: Bool { false }

  var latentSpace: LatentSpace {
    // The repositories' autoencoder is TAESDXL.
    LatentSpace(
      channels: configuration.unet.outputChannels, height: configuration.unet.sampleSize[0],
      width: configuration.unet.sampleSize[1], published: .taesdxl)
  }

  /// The prompt after the name of the task, as in diffusers' pipelines.
  func message(for prompt: String) -> String { "[Generate]: \(prompt)" }

  /// The states of the prompt's tokens without the template before it, padded with zeros.
  func states(of encoded: [EncodedText]) throws(ModelError) -> TextStates {
    let text = encoded[0]
    let skipped = min(Self.skippedTokenCount, text.tokenCount)
    return TextStates(
      text.hidden[skipped * textWidth..<text.tokenCount * textWidth], width: textWidth,
      paddedToChunksOf: chunkTokenCount)
  }

  func conditioning(
    of states: TextStates?, guidanceScale: Float, size: PixelSize
  ) -> Conditioning {
    let chunkCount = states?.chunkCount ?? 1
    let zeros = [Float](repeating: 0, count: chunkCount * chunkTokenCount * textWidth)
    return Conditioning(
      text: .init("hidden", states?.hidden ?? zeros),
      timeInputs: [
        // At least one token, since attention to none has no result.
        .init("realCount", [Float(max(states?.tokenCount ?? 1, 1))]),
        .init("sizes", [Float(size.width), Float(size.height)]),
      ], chunkCount: chunkCount)
  }

  // MARK: - Graphs

  func network(
    _ shape: BatchShape, precomputed: Set<PortName>, adapters: [any NetworkAdapter],
    weights: WeightScope
  ) throws(GraphError) -> Graph {
    try DreamLiteNetwork(configuration: configuration, weights: weights)
      .graph(shape, adapters: adapters)
  }

  func precomputedInputs(
    _ shape: BatchShape, only: Set<PortName>?, weights: WeightScope
  ) throws(GraphError) -> [PrecomputedInput] { [] }

  // MARK: - Components

  /// About two dozen tensors of the first level, over both images.
  func activationByteCount(latentPixels: Double) -> Double {
    2 * latentPixels * Double(configuration.unet.levels[0].channels) * 4 * 24
  }

  func layerName(ofOriginal name: String) -> String? { nil }

  func floatLayers(weights: WeightScope) throws(GraphError) -> Set<String> {
    try DreamLiteNetwork(configuration: configuration, weights: weights).floatLayers()
  }
}
