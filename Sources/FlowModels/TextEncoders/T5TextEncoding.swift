internal import FlowCore
internal import FlowGraph
internal import FlowText

/// A T5 text encoder of a model, with the tokenizer that feeds it.
///
/// A prompt is one chunk, padded with 0 and truncated; nothing in it is weighed. In
/// ``PromptSyntax/weighted`` syntax the encoder reads the text without the signs of weight.
struct T5TextEncoding: TextEncoding {
  let name: String
  /// What its file says.
  let configuration: T5Configuration
  /// Its tokenizer.
  let tokenizer: T5Tokenizer
  /// The tokens of a prompt, padding and the end token included: 77 to 512.
  let tokenCount: Int

  var architecture: String { "T5EncoderModel" }
  var width: Int { configuration.width }
  /// Clip skip is for the CLIP encoders beside it: none of its layers is left out.
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

  /// Writes the encoder down, `tokens` to `hidden`; it has no pooled state.
  func graph(skippedLayers: Int, weights: WeightScope) throws(GraphError) -> Graph {
    try T5Text(configuration: configuration, weights: weights)
      .graph(rows: 1, tokenCount: tokenCount)
  }

  /// Reads an encoder of a model's folder, and its weights.
  ///
  /// - Parameters:
  ///   - folder: the model's folder.
  ///   - name: the encoder's folder in it, such as `text_encoder_3`.
  ///   - tokenizer: the tokenizer's folder in it, such as `tokenizer_3`.
  ///   - tokenCount: the tokens of a prompt.
  ///   - variant: which of the folder's weights.
  /// - Throws: a `ModelError`, `GraphError` or `TextError` for what is missing or not supported.
  static func open(
    folder: String, name: String, tokenizer: String, tokenCount: Int, variant: String?
  ) throws -> (encoding: T5TextEncoding, weights: WeightStore) {
    let configuration = try T5Configuration(
      ConfigurationFile(path: "\(folder)/\(name)/config.json"))
    let weights = try configuration.weights(
      WeightStore(folder: "\(folder)/\(name)", stem: "model", variant: variant))
    let encoding = T5TextEncoding(
      name: name, configuration: configuration,
      tokenizer: try T5Tokenizer(folder: "\(folder)/\(tokenizer)"), tokenCount: tokenCount)
    return (encoding, weights)
  }
}
