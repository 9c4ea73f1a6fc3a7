internal import FlowCore
internal import FlowGraph

/// The activation of CLIP's encoders (`hidden_act`).
enum CLIPActivation: String, CaseIterable {
  /// `x * sigmoid(1.702 * x)`: OpenAI's.
  case quickGELU = "quick_gelu"
  /// `x * Phi(x)`: OpenCLIP's.
  case gelu = "gelu"
}

extension Value {
  /// A layer of CLIP's text or image encoder (`CLIPEncoderLayer`), `[rows, tokens, width]`.
  ///
  /// - Parameters:
  ///   - layer: its weights.
  ///   - heads: the number of attention heads.
  ///   - activation: the activation between its two last layers.
  ///   - epsilon: the epsilon of its normalizations.
  ///   - mask: added to the attention scores; nil if all tokens attend to each other.
  func clipLayer(
    _ layer: WeightScope, heads: Int, activation: CLIPActivation, epsilon: Float,
    mask: Value? = nil
  ) throws(GraphError) -> Value {
    let attention = layer["self_attn"]
    let normed = try layerNorm(layer["layer_norm1"], epsilon: epsilon)
    let hidden =
      try self
      + normed.linear(attention["q_proj"])
      .attention(
        key: normed.linear(attention["k_proj"]), value: normed.linear(attention["v_proj"]),
        heads: heads, mask: mask
      )
      .linear(attention["out_proj"])
    let widened = try hidden.layerNorm(layer["layer_norm2"], epsilon: epsilon)
      .linear(layer["mlp"]["fc1"])
    let activated = activation == .gelu ? widened.gelu() : try widened.quickGELU()
    return try hidden + activated.linear(layer["mlp"]["fc2"])
  }
}
