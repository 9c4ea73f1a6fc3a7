package import FlowGraph
package import FlowText

/// A text encoder: its tokenization, and the graph that computes hidden states.
package protocol TextEncoding: Sendable {
  /// Its component: `text_encoder`, `text_encoder_2`.
  var name: String { get }
  /// Its class, as diffusers names it.
  var architecture: String { get }
  /// The width of a hidden state.
  var width: Int { get }
  /// The number of tokens per chunk, including start and end tokens.
  var tokenCount: Int { get }
  /// The number of layers, one of which must remain with clip skip.
  var layerCount: Int { get }

  /// The chunks of a prompt.
  func chunks(of prompt: String, syntax: PromptSyntax) -> ChunkedPrompt
  /// The graph's inputs for a chunk, by name.
  func inputs(of chunk: ChunkedPrompt.Chunk) -> [(name: PortName, elements: [Int64])]
  /// The size of the vocabulary in the weights.
  ///
  /// - Throws: a `GraphError` if they are missing.
  func vocabularyCount(weights: WeightScope) throws(GraphError) -> Int
  /// Builds the encoder, one chunk to `hidden` and, if it has one, `pooled`.
  ///
  /// - Parameters:
  ///   - skippedLayers: the number of last layers to skip.
  ///   - weights: its weights.
  /// - Throws: a `GraphError` for weights that do not match.
  func graph(skippedLayers: Int, weights: WeightScope) throws(GraphError) -> Graph
}

/// A prompt encoded by one text encoder.
package struct EncodedText {
  /// The width of a hidden state.
  let width: Int
  /// The hidden states of all chunks, weighted, `[chunks * tokens, width]`.
  let hidden: [Float]
  /// The pooled state of the first chunk; empty if the encoder has none.
  let pooled: [Float]
  /// The number of chunks.
  let chunkCount: Int
  /// The number of tokens of the first chunk up to its end token, without padding.
  let tokenCount: Int

  package init(width: Int, hidden: [Float], pooled: [Float], chunkCount: Int, tokenCount: Int) {
    self.width = width
    self.hidden = hidden
    self.pooled = pooled
    self.chunkCount = chunkCount
    self.tokenCount = tokenCount
  }
}

/// A prompt, or a blend of several, encoded by all text encoders of a model.
package final class TextStates: Sendable {
  /// The hidden states that the network reads, `[chunks * tokens, width]`.
  package let hidden: [Float]
  /// The pooled state, or none.
  package let pooled: [Float]
  /// The number of chunks.
  package let chunkCount: Int
  /// The width of a token's states.
  package let width: Int
  /// The number of tokens without padding, for networks that mask padding.
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

extension TextStates {
  /// The states of a text's tokens, padded with zeros to whole chunks.
  ///
  /// - Parameters:
  ///   - states: the states, `[tokens, width]`.
  ///   - width: the width of a token's states.
  ///   - chunkTokenCount: the number of tokens per chunk.
  convenience init(
    _ states: ArraySlice<Float>, width: Int, paddedToChunksOf chunkTokenCount: Int
  ) {
    let tokenCount = states.count / width
    let chunkCount = max((tokenCount + chunkTokenCount - 1) / chunkTokenCount, 1)
    let missing = chunkCount * chunkTokenCount - tokenCount
    self.init(
      hidden: states + [Float](repeating: 0, count: missing * width), pooled: [],
      chunkCount: chunkCount, width: width, tokenCount: tokenCount)
  }
}
