internal import FlowCore
internal import FlowGraph

/// The text encoder of T5 1.1: `T5EncoderModel` (Raffel et al., 2020, arXiv:1910.10683; gated
/// feed-forward layers after Shazeer, 2020, arXiv:2002.05202).
struct T5Text {
  let configuration: T5Configuration
  let weights: WeightScope

  /// Builds the encoder: `tokens` `[rows, tokenCount]` to `hidden` `[rows, tokenCount, width]`.
  ///
  /// There is no mask: padding takes part in attention, as in the pipelines of Stable Diffusion 3
  /// and FLUX.
  ///
  /// - Parameters:
  ///   - rows: the number of prompts.
  ///   - tokenCount: the number of tokens of each prompt, including padding.
  /// - Throws: a `GraphError` for weights that do not match.
  func graph(rows: Int, tokenCount: Int) throws(GraphError) -> Graph {
    precondition(rows > 0 && tokenCount > 0, "rows and tokens must be positive")
    let graph = Graph(name: "t5_\(rows)x\(tokenCount)")
    let tokens = graph.input("tokens", shape: [rows, tokenCount], type: .int64)
    let bias = try positionBias(tokenCount: tokenCount, in: graph)
    var hidden = try tokens.embedding(weights["shared"])
    try hidden.expect([rows, tokenCount, configuration.width], of: "T5's token table")
    for index in 0..<configuration.layerCount {
      hidden = try block(hidden, weights["encoder"]["block"][index]["layer"], bias: bias)
    }
    hidden = try norm(hidden, weights["encoder"]["final_layer_norm"])
    graph.output(hidden, as: "hidden")
    return graph
  }

  /// The bias of each head for the distance of query and key, `[1, heads, tokens, tokens]`; the
  /// first layer's table applies to all layers.
  private func positionBias(tokenCount: Int, in graph: Graph) throws(GraphError) -> Value {
    let buckets = (0..<tokenCount).flatMap { query in
      (0..<tokenCount).map { key in configuration.buckets.bucket(of: key - query) }
    }
    let table = weights["encoder"]["block"][0]["layer"][0]["SelfAttention"][
      "relative_attention_bias"]
    let shape = try table.shape(of: "weight")
    guard shape == [configuration.buckets.count, configuration.headCount] else {
      throw GraphError(
        code: .shapeMismatch,
        message: "\(table.path).weight is \(shape), expected [\(configuration.buckets.count), "
          + "\(configuration.headCount)]: buckets and heads")
    }
    return try graph.indices(buckets, shape: [tokenCount, tokenCount]).embedding(table)
      .transposed([2, 0, 1])
      .reshaped([1, configuration.headCount, tokenCount, tokenCount])
  }

  private func norm(_ hidden: Value, _ layer: WeightScope) throws(GraphError) -> Value {
    try hidden.rmsNorm(layer, epsilon: configuration.epsilon)
  }

  private func block(
    _ input: Value, _ layers: WeightScope, bias: Value
  ) throws(GraphError) -> Value {
    let attention = layers[0]["SelfAttention"]
    let normed = try norm(input, layers[0]["layer_norm"])
    // The scores are not scaled; the initial weights are scaled down instead.
    let hidden =
      try input
      + heads(normed, attention["q"]).headAttention(
        key: heads(normed, attention["k"]), value: heads(normed, attention["v"]), scale: 1,
        mask: bias
      )
      .joinedHeads().linear(attention["o"])
    let feedForward = layers[1]["DenseReluDense"]
    let normedHidden = try norm(hidden, layers[1]["layer_norm"])
    let gate = try normedHidden.linear(feedForward["wi_0"]).gelu(approximately: true)
    let widened = try gate * normedHidden.linear(feedForward["wi_1"])
    try widened.expect(
      input.shape.replacing(-1, with: configuration.feedForwardWidth),
      of: "\(feedForward.path).wi")
    return try hidden + widened.linear(feedForward["wo"])
  }

  private func heads(_ input: Value, _ layer: WeightScope) throws(GraphError) -> Value {
    let projected = try input.linear(layer)
    try projected.expect(
      input.shape.replacing(-1, with: configuration.headCount * configuration.headWidth),
      of: layer.path)
    return try projected.splitIntoHeads(configuration.headCount)
  }
}
