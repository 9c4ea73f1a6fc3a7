internal import FlowCore
internal import FlowGraph

extension Value {
  /// For the number of tokens of each row, `[rows]`: 1 for tokens before it and 0 for others, `[rows,
  /// tokens, 1]`.
  func isBefore(tokens: Int) throws(GraphError) -> Value {
    let indices = graph.constant((0..<tokens).map(Float.init), shape: [1, tokens, 1])
    return try (reshaped([shape[0], 1, 1]) - indices).clamped(to: 0...1)
  }

  /// For the number of tokens of each row, `[rows]`: the mask of later tokens, which is added to
  /// attention scores, `[rows, 1, 1, tokens]`.
  func keyMask(tokens: Int) throws(GraphError) -> Value {
    try ((isBefore(tokens: tokens) + -1) * Float.greatestFiniteMagnitude)
      .reshaped([shape[0], 1, 1, tokens])
  }
}
