package import FlowGraph
package import FlowText

/// A text encoder: how prompts become its tokens, and the graph that makes states of them.
package protocol TextEncoding: Sendable {
  /// Its component: `text_encoder`, `text_encoder_2`.
  var name: String { get }
  /// Its class, as diffusers names it.
  var architecture: String { get }
  /// The width of a hidden state.
  var width: Int { get }
  /// The tokens of a chunk, the start and end tokens included.
  var tokenCount: Int { get }
  /// The layers that may be left out but one (clip skip).
  var layerCount: Int { get }

  /// The chunks of a prompt.
  func chunks(of prompt: String, syntax: PromptSyntax) -> ChunkedPrompt
  /// What the graph reads of a chunk, by the names of its inputs.
  func inputs(of chunk: ChunkedPrompt.Chunk) -> [(name: PortName, elements: [Int64])]
  /// The tokens that the weights know.
  ///
  /// - Throws: a `GraphError` where they are missing.
  func vocabularyCount(weights: WeightScope) throws(GraphError) -> Int
  /// Writes the encoder down, one chunk to `hidden` and, where it has one, `pooled`.
  ///
  /// - Parameters:
  ///   - skippedLayers: how many of the last layers are left out.
  ///   - weights: its weights.
  /// - Throws: a `GraphError` for weights that do not fit.
  func graph(skippedLayers: Int, weights: WeightScope) throws(GraphError) -> Graph
}

/// What a text encoder makes of a prompt.
package struct EncodedText {
  /// The width of a hidden state.
  let width: Int
  /// The hidden states of all chunks, weighted, `[chunks * tokens, width]`.
  let hidden: [Float]
  /// The pooled state of the first chunk; empty where the encoder has none.
  let pooled: [Float]
  /// The number of chunks.
  let chunkCount: Int
  /// The tokens of the first chunk up to its end token, padding left out.
  let tokenCount: Int

  package init(width: Int, hidden: [Float], pooled: [Float], chunkCount: Int, tokenCount: Int) {
    self.width = width
    self.hidden = hidden
    self.pooled = pooled
    self.chunkCount = chunkCount
    self.tokenCount = tokenCount
  }
}

/// What the text encoders of a model make of a prompt, or of several mixed.
package final class TextStates: Sendable {
  /// The hidden states that the network reads, `[chunks * tokens, width]`.
  package let hidden: [Float]
  /// The pooled state, or none.
  package let pooled: [Float]
  /// The number of chunks.
  package let chunkCount: Int
  /// The width of a token's states.
  package let width: Int
  /// The tokens that are a prompt's own and no padding, for a network that tells them apart.
  package let tokenCount: Int

  package init(
    hidden: [Float], pooled: [Float], chunkCount: Int, width: Int, tokenCount: Int = 0
  ) {
    self.hidden = hidden
    self.pooled = pooled
    self.chunkCount = chunkCount
    self.width = width
    self.tokenCount = tokenCount
  }
}
