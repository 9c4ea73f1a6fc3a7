internal import FlowCore
internal import FlowGraph
internal import FlowText

/// A model's T5 text encoder with its tokenizer.
///
/// A prompt is one chunk, padded with 0 and truncated; weights are ignored. In
/// ``PromptSyntax/weighted`` syntax the encoder reads the text without markup.
struct T5TextEncoding: TextEncoding {
  let name: String
  /// The configuration.
  let configuration: T5Configuration
  /// Its tokenizer.
  let tokenizer: T5Tokenizer
  /// The number of tokens of a prompt including padding and end token: 77 to 512.
  let tokenCount: Int

  var architecture: String { "T5EncoderModel" }
  var width: Int { configuration.width }
  /// Clip skip applies to CLIP only: no layer is skipped.
  var layerCount: Int { .max }

  func chunks(of prompt: String, syntax: PromptSyntax) -> ChunkedPrompt {
    let text =
      switch syntax {
      case .plain: prompt
      case .weighted: WeightedPrompt(parsing: prompt).text
      }
    return ChunkedPrompt(tokenizer.encode(text, length: tokenCount))
  }

  func inputs(of chunk: ChunkedPrompt.Chunk) -> [(name: PortName, elements: [Int64])] {
    [("tokens", chunk.tokens.map(Int64.init))]
  }

  func vocabularyCount(weights: WeightScope) throws(GraphError) -> Int {
    try weights["shared"].shape(of: "weight")[0]
  }

  /// Builds the encoder, `tokens` to `hidden`; it has no pooled state.
  func graph(skippedLayers: Int, weights: WeightScope) throws(GraphError) -> Graph {
    try T5Text(configuration: configuration, weights: weights)
      .graph(rows: 1, tokenCount: tokenCount)
  }

  /// Opens an encoder in a model's folder, with its weights.
  ///
  /// - Parameters:
  ///   - folder: the model's folder.
  ///   - name: the encoder's folder in it, such as `text_encoder_3`.
  ///   - tokenizer: the tokenizer's folder in it, such as `tokenizer_3`.
  ///   - tokenCount: the tokens of a prompt.
  ///   - options: the choice of its weights.
  /// - Throws: a `ModelError`, `GraphError` or `TextError` for missing or unsupported parts.
  static func open(
    folder: String, name: String, tokenizer: String, tokenCount: Int, _ options: LoadOptions
  ) throws -> (encoding: T5TextEncoding, weights: WeightStore) {
    let configuration = try T5Configuration(
      ConfigurationFile(path: "\(folder)/\(name)/config.json"))
    let weights = try configuration.weights(
      options.textWeights(.t5, in: "\(folder)/\(name)", width: "d_model"))
    let encoding = T5TextEncoding(
      name: name, configuration: configuration,
      tokenizer: try T5Tokenizer(folder: "\(folder)/\(tokenizer)"), tokenCount: tokenCount)
    return (encoding, weights)
  }
}
