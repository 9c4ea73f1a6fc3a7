internal import FlowCore
internal import FlowGraph

#if canImport(Glibc)
  private import Glibc
#elseif canImport(Musl)
  private import Musl
#else
  private import Darwin
#endif

/// The language model Qwen3 as a text encoder: hidden states instead of the next token (Yang et al.,
/// 2025, arXiv:2505.09388).
struct Qwen3Text {
  let configuration: Qwen3Configuration
  let weights: WeightScope

  /// Builds the encoder: `tokens` and `mask` `[rows, tokenCount]` to `hidden` `[rows, tokenCount,
  /// states * width]`.
  ///
  /// The mask is 1 for a prompt's tokens and 0 for the padding after them. A token attends to
  /// itself and earlier tokens; padding attends to the prompt only, not even to itself, as in
  /// transformers.
  ///
  /// - Parameters:
  ///   - rows: the number of prompts.
  ///   - tokenCount: the number of tokens of each prompt, including padding.
  ///   - states: the hidden states, concatenated along the last axis in this order: 0 for the token
  ///     embeddings, n for the output of the n-th layer; the last layer's is normalized.
  /// - Throws: a `GraphError` for weights that do not match.
  func graph(rows: Int, tokenCount: Int, states: [Int]) throws(GraphError) -> Graph {
    precondition(rows > 0 && tokenCount > 0, "rows and tokens must be positive")
    precondition(
      !states.isEmpty && states.allSatisfy((0...configuration.layerCount).contains),
      "hidden states are 0 to \(configuration.layerCount), got \(states)")
    let graph = Graph(name: "qwen3_\(rows)x\(tokenCount)_states\(states)")
    let tokens = graph.input("tokens", shape: [rows, tokenCount], type: .int64)
    let mask = try mask(
      graph.input("mask", shape: [rows, tokenCount], type: .int64), in: graph)
    let rotation = Rotation(configuration, tokenCount: tokenCount, in: graph)
    var hidden = try tokens.embedding(weights["embed_tokens"])
    let shape: Shape = [rows, tokenCount, configuration.width]
    try hidden.expect(shape, of: "Qwen3's token table")
    var known = [0: hidden]
    for index in 0..<(states.max() ?? 0) {
      hidden = try layer(hidden, weights["layers"][index], mask: mask, rotation: rotation)
      known[index + 1] =
        index + 1 == configuration.layerCount ? try norm(hidden, weights["norm"]) : hidden
    }
    let wanted = states.compactMap { known[$0] }
    graph.output(
      wanted.count == 1 ? wanted[0] : try .concatenated(wanted, axis: -1), as: "hidden")
    return graph
  }

  /// The mask that is added to attention scores, `[rows, 1, tokens, tokens]`.
  private func mask(_ mask: Value, in graph: Graph) throws(GraphError) -> Value {
    let (rows, count) = (mask.shape[0], mask.shape[1])
    // Half of the largest number, so that the sum of two masks stays finite.
    let hidden = Float.greatestFiniteMagnitude / 2
    let causal = (0..<count).flatMap { query in
      (0..<count).map { key in key > query ? -hidden : 0 }
    }
    let padding = try (mask.cast(to: .float32) + -1) * hidden
    return try graph.constant(causal, shape: [1, 1, count, count])
      + padding.reshaped([rows, 1, 1, count])
  }

  private func norm(_ hidden: Value, _ layer: WeightScope) throws(GraphError) -> Value {
    try hidden.rmsNorm(layer, epsilon: configuration.epsilon)
  }

  private func layer(
    _ input: Value, _ layer: WeightScope, mask: Value, rotation: Rotation
  ) throws(GraphError) -> Value {
    let attention = layer["self_attn"]
    let normed = try norm(input, layer["input_layernorm"])
    let query = try norm(
      heads(normed, attention["q_proj"], configuration.headCount), attention["q_norm"])
    let key = try norm(
      heads(normed, attention["k_proj"], configuration.sharedHeadCount), attention["k_norm"])
    let value = try heads(normed, attention["v_proj"], configuration.sharedHeadCount)
    let hidden =
      try input
      + rotation.applied(to: query)
      .headAttention(key: rotation.applied(to: key), value: value, mask: mask)
      .joinedHeads().linear(attention["o_proj"])
    let normedHidden = try norm(hidden, layer["post_attention_layernorm"])
    let widened =
      try normedHidden.linear(layer["mlp"]["gate_proj"]).silu()
      * normedHidden.linear(layer["mlp"]["up_proj"])
    try widened.expect(
      input.shape.replacing(-1, with: configuration.feedForwardWidth), of: "\(layer.path).mlp")
    return try hidden + widened.linear(layer["mlp"]["down_proj"])
  }

  private func heads(
    _ input: Value, _ layer: WeightScope, _ count: Int
  ) throws(GraphError) -> Value {
    let projected = try input.linear(layer)
    try projected.expect(
      input.shape.replacing(-1, with: count * configuration.headWidth), of: layer.path)
    return try projected.splitIntoHeads(count)
  }

  /// The rotary embedding of positions from 0, whose pairs are the halves of a head.
  private struct Rotation {
    let cosine: Value
    let sine: Value

    init(_ configuration: Qwen3Configuration, tokenCount: Int, in graph: Graph) {
      let width = configuration.headWidth
      // In float32, like transformers.
      let frequencies = (0..<width / 2).map { pair in
        1 / powf(Float(configuration.theta), Float(2 * pair) / Float(width))
      }
      let angles = (0..<tokenCount).flatMap { position in
        (frequencies + frequencies).map { Float(position) * $0 }
      }
      cosine = graph.constant(angles.map { cosf($0) }, shape: [tokenCount, width])
      sine = graph.constant(angles.map { sinf($0) }, shape: [tokenCount, width])
    }

    func applied(to heads: Value) throws(GraphError) -> Value {
      try heads.rotated(cosine: cosine, sine: sine, pairs: .halves)
    }
  }
}
