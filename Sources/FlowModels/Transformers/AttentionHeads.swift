internal import FlowCore
internal import FlowGraph

/// Queries, keys and values of tokens, `[rows, heads, tokens, width]`.
struct AttentionHeads {
  let query: Value
  let key: Value
  let value: Value

  /// The names of the layers that make them, and of the norms of queries and keys.
  struct Layers {
    let query: String
    let key: String
    let value: String
    let queryNorm: String
    let keyNorm: String

    /// Of the image, or of all tokens.
    static let image = Layers(
      query: "to_q", key: "to_k", value: "to_v", queryNorm: "norm_q", keyNorm: "norm_k")
    /// Of the text, where it has its own.
    static let text = Layers(
      query: "add_q_proj", key: "add_k_proj", value: "add_v_proj", queryNorm: "norm_added_q",
      keyNorm: "norm_added_k")
  }

  /// Takes heads that are apart.
  init(query: Value, key: Value, value: Value) {
    self.query = query
    self.key = key
    self.value = value
  }

  /// Makes them of tokens, `[rows, tokens, width]`.
  ///
  /// - Parameters:
  ///   - tokens: the tokens.
  ///   - attention: the layers.
  ///   - layers: which of them.
  ///   - count: the number of heads.
  ///   - normEpsilon: of the norms of queries and keys; nil where there are none.
  /// - Throws: a `GraphError` for weights that do not fit.
  init(
    _ tokens: Value, _ attention: WeightScope, _ layers: Layers, count: Int, normEpsilon: Float?
  ) throws(GraphError) {
    func split(_ name: String, norm: String? = nil) throws(GraphError) -> Value {
      let heads = try tokens.linear(attention[name]).splitIntoHeads(count)
      guard let norm, let normEpsilon else { return heads }
      return try heads.rmsNorm(attention[norm], epsilon: normEpsilon)
    }
    query = try split(layers.query, norm: layers.queryNorm)
    key = try split(layers.key, norm: layers.keyNorm)
    value = try split(layers.value)
  }

  /// These tokens, and others behind them.
  func joined(with other: AttentionHeads) throws(GraphError) -> AttentionHeads {
    AttentionHeads(
      query: try .concatenated([query, other.query], axis: 2),
      key: try .concatenated([key, other.key], axis: 2),
      value: try .concatenated([value, other.value], axis: 2))
  }

  /// What all tokens make of each other, `[rows, tokens, heads * width]`.
  ///
  /// - Parameters:
  ///   - rotary: the tokens' positions.
  ///   - mask: what hides tokens from others.
  func attention(_ rotary: RotaryTable, mask: Value? = nil) throws(GraphError) -> Value {
    try rotary(query).headAttention(key: rotary(key), value: value, mask: mask).joinedHeads()
  }
}
