internal import FlowCore
internal import FlowGraph
internal import FlowText

/// A model's CLIP text encoder with its tokenizer.
struct CLIPTextEncoding: TextEncoding {
  let name: String
  /// The configuration.
  let configuration: CLIPTextConfiguration
  /// Its tokenizer.
  let tokenizer: CLIPTokenizer
  /// The hidden state that the network was trained to read.
  let state: CLIPText.HiddenState
  /// Maximum number of chunks of a prompt.
  var chunkLimit = CLIPTokenizer.chunkLimit

  var architecture: String {
    configuration.projectionWidth == nil ? "CLIPTextModel" : "CLIPTextModelWithProjection"
  }
  var width: Int { configuration.width }
  var tokenCount: Int { configuration.tokenCount }
  var layerCount: Int {
    switch state {
    case .last: configuration.layerCount
    case .penultimate: configuration.layerCount - 1
    // The pooled state is that of the last layer, even if layers are skipped.
    case .unread: 1
    }
  }

  func chunks(of prompt: String, syntax: PromptSyntax) -> ChunkedPrompt {
    syntax.chunks(
      of: prompt, tokenizer: tokenizer, tokenCount: tokenCount, chunkLimit: chunkLimit)
  }

  func inputs(of chunk: ChunkedPrompt.Chunk) -> [(name: PortName, elements: [Int64])] {
    [("tokens", chunk.tokens.map(Int64.init)), ("end", [Int64(chunk.endIndex)])]
  }

  func vocabularyCount(weights: WeightScope) throws(GraphError) -> Int {
    try weights["embeddings"]["token_embedding"].shape(of: "weight")[0]
  }

  func graph(skippedLayers: Int, weights: WeightScope) throws(GraphError) -> Graph {
    try CLIPText(configuration: configuration, weights: weights)
      .graph(rows: 1, state: state, skippedLayers: skippedLayers)
  }
}
