internal import FlowCore
internal import FlowGraph

/// Queries, keys and values of tokens, `[rows, heads, tokens, width]`.
struct AttentionHeads {
  let query: Value
  let key: Value
  let value: Value

  /// The names of the projection layers, and of the norms of queries and keys.
  struct Layers {
    let query: String
    let key: String
    let value: String
    let queryNorm: String
    let keyNorm: String

    /// The layers of the image, or of all tokens.
    static let image = Layers(
      query: "to_q", key: "to_k", value: "to_v", queryNorm: "norm_q", keyNorm: "norm_k")
    /// The layers of the text, if they are separate.
    static let text = Layers(
      query: "add_q_proj", key: "add_k_proj", value: "add_v_proj", queryNorm: "norm_added_q",
      keyNorm: "norm_added_k")
  }

  /// Creates heads from separate tensors.
  init(query: Value, key: Value, value: Value) {
    self.query = query
    self.key = key
    self.value = value
  }

  /// Projects tokens, `[rows, tokens, width]`.
  ///
  /// - Parameters:
  ///   - tokens: the tokens.
  ///   - attention: the scope of the layers.
  ///   - layers: the names of the layers.
  ///   - count: the number of heads.
  ///   - normEpsilon: the epsilon of the norms of queries and keys; nil if there are none.
  /// - Throws: a `GraphError` for weights that do not match.
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

  /// These tokens followed by others.
  func joined(with other: AttentionHeads) throws(GraphError) -> AttentionHeads {
    AttentionHeads(
      query: try .concatenated([query, other.query], axis: 2),
      key: try .concatenated([key, other.key], axis: 2),
      value: try .concatenated([value, other.value], axis: 2))
  }

  /// Queries and keys rotated by the tokens' positions.
  func rotated(_ rotary: RotaryTable) throws(GraphError) -> AttentionHeads {
    AttentionHeads(query: try rotary(query), key: try rotary(key), value: value)
  }

  /// The attention output of all tokens, `[rows, tokens, heads * width]`, whose queries and keys are
  /// rotated already.
  ///
  /// - Parameter others: the rotated keys and the values of further tokens that they read.
  func attention(with others: KeysAndValues?) throws(GraphError) -> Value {
    guard let others else { return try query.headAttention(key: key, value: value).joinedHeads() }
    return try query.headAttention(
      key: .concatenated([key, others.key], axis: 2),
      value: .concatenated([value, others.value], axis: 2)
    ).joinedHeads()
  }

  /// The attention output of all tokens, `[rows, tokens, heads * width]`.
  ///
  /// - Parameters:
  ///   - rotary: the tokens' positions.
  ///   - mask: the attention mask.
  func attention(_ rotary: RotaryTable, mask: Value? = nil) throws(GraphError) -> Value {
    try rotary(query).headAttention(key: rotary(key), value: value, mask: mask).joinedHeads()
  }
}

/// Rotated keys, and values, of tokens, `[rows, heads, tokens, width]`.
struct KeysAndValues {
  let key: Value
  let value: Value
}
