internal import FlowCore
internal import FlowGraph
internal import FlowText

/// A model's Qwen3 or Qwen3-VL text encoder with its tokenizer.
///
/// A prompt is a user message in one chunk, padded and truncated on the right. It is plain text in
/// either syntax: brackets are left to the language model. Tags of extra networks are removed in
/// ``PromptSyntax/weighted`` syntax.
struct Qwen3TextEncoding: TextEncoding {
  let name: String
  /// The configuration.
  let configuration: Qwen3Configuration
  /// Its tokenizer.
  let tokenizer: QwenTokenizer
  /// The template around a prompt.
  let template: ChatTemplate
  /// The hidden states that the network reads, concatenated along the last axis: 0 for the token
  /// embeddings, n for the output of the n-th layer.
  let states: [Int]
  /// The number of tokens of a prompt, including template and padding.
  let tokenCount: Int

  var architecture: String { configuration.architecture }
  var width: Int { configuration.width * states.count }
  /// Clip skip applies to CLIP only: the states are those of training.
  var layerCount: Int { 1 }

  func chunks(of prompt: String, syntax: PromptSyntax) -> ChunkedPrompt {
    let text =
      switch syntax {
      case .plain: prompt
      case .weighted: WeightedPrompt.textWithoutTags(prompt)
      }
    return ChunkedPrompt(tokenizer.encode(text, in: template, length: tokenCount))
  }

  func inputs(of chunk: ChunkedPrompt.Chunk) -> [(name: PortName, elements: [Int64])] {
    [
      ("tokens", chunk.tokens.map(Int64.init)),
      ("mask", chunk.tokens.indices.map { $0 <= chunk.endIndex ? 1 : 0 }),
    ]
  }

  func vocabularyCount(weights: WeightScope) throws(GraphError) -> Int {
    try weights["embed_tokens"].shape(of: "weight")[0]
  }

  /// Builds the encoder, `tokens` and `mask` to `hidden`; it has no pooled state.
  ///
  /// - Precondition: no layer is skipped.
  func graph(skippedLayers: Int, weights: WeightScope) throws(GraphError) -> Graph {
    precondition(skippedLayers == 0, "the states of a language model are counted from the first")
    return try Qwen3Text(configuration: configuration, weights: weights)
      .graph(rows: 1, tokenCount: tokenCount, states: states)
  }

  /// Checks that a network reads states of this width.
  ///
  /// - Parameters:
  ///   - networkWidth: the width that the network reads.
  ///   - key: its name in the network's configuration.
  ///   - path: the model.
  /// - Throws: `fileInvalid` if the widths differ.
  func check(_ networkWidth: Int, _ key: String, ofModelAt path: String) throws(ModelError) {
    guard width == networkWidth else {
      throw ModelError(
        code: .fileInvalid,
        message: "'\(path)': \(name) is \(width) wide (hidden_size), the network reads "
          + "\(networkWidth) (\(key)); they do not match")
    }
  }

  /// Opens an encoder in a model's folder, with its weights.
  ///
  /// - Parameters:
  ///   - folder: the model's folder, which contains `text_encoder` and `tokenizer`.
  ///   - template: the template around a prompt.
  ///   - states: the hidden states that the network reads.
  ///   - tokenCount: the tokens of a prompt.
  ///   - options: the choice of its weights.
  /// - Throws: a `ModelError`, `GraphError` or `TextError` for missing or unsupported parts.
  static func open(
    folder: String, template: ChatTemplate, states: (_ layerCount: Int) -> [Int],
    tokenCount: Int, _ options: LoadOptions
  ) throws -> (encoding: Qwen3TextEncoding, weights: WeightStore) {
    let name = "text_encoder"
    let file = try ConfigurationFile(path: "\(folder)/\(name)/config.json")
    let configuration = try Qwen3Configuration(file)
    let states = states(configuration.layerCount)
    guard !states.isEmpty, states.allSatisfy((0...configuration.layerCount).contains) else {
      throw file.unsupported(
        "num_hidden_layers", expected: "\(states.max() ?? 1) or more, as its network reads them")
    }
    let weights = try configuration.weights(
      options.textWeights(.qwen3, in: "\(folder)/\(name)", width: "hidden_size"))
    let encoding = Qwen3TextEncoding(
      name: name, configuration: configuration,
      tokenizer: try QwenTokenizer(folder: "\(folder)/tokenizer"), template: template,
      states: states, tokenCount: tokenCount)
    return (encoding, weights)
  }
}
