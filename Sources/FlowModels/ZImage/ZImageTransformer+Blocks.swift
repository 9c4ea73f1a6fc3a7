internal import FlowCore
internal import FlowGraph

extension ZImageTransformer {
  /// The same for all norms of queries and keys, independently of the others.
  private static let headEpsilon: Float = 1e-5

  /// Attention and feed-forward, each between two norms, scaled and gated by the modulation if
  /// there is one.
  ///
  /// - Parameters:
  ///   - input: the tokens, `[rows, tokens, width]`.
  ///   - layer: the block's weights.
  ///   - rotary: the tokens' positions.
  ///   - mask: the attention mask.
  ///   - modulation: the modulation; nil for a block without it.
  /// - Throws: a `GraphError` for weights that do not match.
  func block(
    _ input: Value, _ layer: WeightScope, rotary: RotaryTable, mask: Value? = nil,
    modulation: LayerTable? = nil
  ) throws(GraphError) -> Value {
    let parts: [Value]?
    if let modulation {
      parts = try modulation.modulation(of: layer["adaLN_modulation"][0], into: 4)
    } else {
      parts = nil
    }
    /// The residual branch of a layer between two norms.
    func change(
      _ tokens: Value, _ name: String, scale: Value?, gate: Value?,
      _ inner: (Value) throws(GraphError) -> Value
    ) throws(GraphError) -> Value {
      var entered = try norm(tokens, layer["\(name)_norm1"])
      if let scale { entered = try entered * (scale + 1) }
      let left = try norm(inner(entered), layer["\(name)_norm2"])
      return if let gate { try left * gate.tanh() } else { left }
    }
    let attended =
      try input
      + change(input, "attention", scale: parts?[0], gate: parts?[1]) { tokens throws(GraphError) in
        try attention(tokens, layer["attention"], rotary: rotary, mask: mask)
      }
    return try attended
      + change(attended, "ffn", scale: parts?[2], gate: parts?[3]) { tokens throws(GraphError) in
        try feedForward(tokens, layer["feed_forward"])
      }
  }

  private func norm(_ tokens: Value, _ layer: WeightScope) throws(GraphError) -> Value {
    try tokens.rmsNorm(layer, epsilon: configuration.normEpsilon)
  }

  private func attention(
    _ tokens: Value, _ layer: WeightScope, rotary: RotaryTable, mask: Value?
  ) throws(GraphError) -> Value {
    try AttentionHeads(
      tokens, layer, .image, count: configuration.headCount,
      normEpsilon: configuration.normalizesHeads ? Self.headEpsilon : nil
    ).attention(rotary, mask: mask).linear(layer["to_out"][0])
  }

  /// SwiGLU (Shazeer, 2020, arXiv:2002.05202).
  private func feedForward(_ tokens: Value, _ layer: WeightScope) throws(GraphError) -> Value {
    try (tokens.linear(layer["w1"]).silu() * tokens.linear(layer["w3"])).linear(layer["w2"])
  }
}
