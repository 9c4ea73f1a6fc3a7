internal import FlowCore
internal import FlowGraph
internal import FlowText

/// A Qwen3 of a model as its text encoder, with the tokenizer that feeds it.
///
/// A prompt is a user's message in one chunk, padded and truncated on the right. It is plain text in
/// either syntax: brackets are for the language model to read. Tags of extra networks are taken out
/// in ``PromptSyntax/weighted`` syntax.
struct Qwen3TextEncoding: TextEncoding {
  let name: String
  /// What its file says.
  let configuration: Qwen3Configuration
  /// Its tokenizer.
  let tokenizer: QwenTokenizer
  /// What stands around a prompt.
  let template: ChatTemplate
  /// The hidden states that the network reads, joined along the last axis: 0 for the tokens'
  /// embeddings, n for what the n-th layer gives.
  let states: [Int]
  /// The tokens of a prompt, the template and padding included.
  let tokenCount: Int

  var architecture: String { "Qwen3ForCausalLM" }
  var width: Int { configuration.width * states.count }
  /// Clip skip is for CLIP: the states are those that the network was trained with.
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

  /// Writes the encoder down, `tokens` and `mask` to `hidden`; it has no pooled state.
  ///
  /// - Precondition: no layer is skipped.
  func graph(skippedLayers: Int, weights: WeightScope) throws(GraphError) -> Graph {
    precondition(skippedLayers == 0, "the states of a language model are counted from the first")
    return try Qwen3Text(configuration: configuration, weights: weights)
      .graph(rows: 1, tokenCount: tokenCount, states: states)
  }

  /// Reads an encoder of a model's folder, and its weights.
  ///
  /// - Parameters:
  ///   - folder: the model's folder, with `text_encoder` and `tokenizer` in it.
  ///   - template: what stands around a prompt.
  ///   - states: the hidden states that the network reads, of a model of that many layers.
  ///   - tokenCount: the tokens of a prompt.
  ///   - variant: which of the folder's weights.
  /// - Throws: a `ModelError`, `GraphError` or `TextError` for what is missing or not supported.
  static func open(
    folder: String, template: ChatTemplate, states: (_ layerCount: Int) -> [Int],
    tokenCount: Int, variant: String?
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
      WeightStore(folder: "\(folder)/\(name)", stem: "model", variant: variant))
    let encoding = Qwen3TextEncoding(
      name: name, configuration: configuration,
      tokenizer: try QwenTokenizer(folder: "\(folder)/tokenizer"), template: template,
      states: states, tokenCount: tokenCount)
    return (encoding, weights)
  }
}
