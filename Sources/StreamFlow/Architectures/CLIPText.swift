internal import FlowCore
internal import FlowGraph

/// What `text_encoder/config.json` says of a `CLIPTextModel`, checked.
public struct CLIPTextConfiguration: Equatable, Sendable {
  /// The width of a hidden state.
  public let width: Int
  /// The number of tokens the model was trained with, its marks of start and end included.
  public let tokenCount: Int
  let layerCount: Int
  let headCount: Int
  let activation: String
  let epsilon: Float

  init(_ file: ConfigurationFile) throws(ModelError) {
    width = try file.integer("hidden_size", default: 512, in: 1...65536)
    tokenCount = try file.integer("max_position_embeddings", default: 77, in: 2...65536)
    layerCount = try file.integer("num_hidden_layers", default: 12, in: 1...256)
    headCount = try file.integer("num_attention_heads", default: 8, in: 1...4096)
    epsilon = Float(try file.number("layer_norm_eps", default: 1e-5))
    activation = try file.text("hidden_act") ?? "quick_gelu"
    guard ["quick_gelu", "gelu"].contains(activation) else {
      throw file.unsupported("hidden_act", expected: "\"quick_gelu\" or \"gelu\"")
    }
  }
}

/// The text encoder of CLIP: `CLIPTextModel` (Radford et al., 2021, arXiv:2103.00020).
struct CLIPText {
  let configuration: CLIPTextConfiguration
  /// The weights without the `text_model.` that older files put before every name.
  let weights: WeightScope

  init(configuration: CLIPTextConfiguration, store: WeightStore) {
    self.configuration = configuration
    let prefix = "text_model."
    weights =
      store.renamed { $0.hasPrefix(prefix) ? String($0.dropFirst(prefix.count)) : $0 }.root
  }

  /// Writes the encoder down: `tokens` and `end` to `hidden` and `pooled`.
  ///
  /// - Parameter skippedLayers: how many of the last layers are left out (clip skip); the final
  ///   normalization is applied all the same, as diffusers does.
  func graph(rows: Int, skippedLayers: Int = 0) throws(GraphError) -> Graph {
    precondition((0..<configuration.layerCount).contains(skippedLayers), "no layer would be left")
    let count = configuration.tokenCount
    let graph = Graph(name: "text_encoder_\(rows)_skip\(skippedLayers)")
    let tokens = graph.input("tokens", shape: [rows, count], type: .int64)
    let end = graph.input("end", shape: [rows], type: .int64)
    let embeddings = weights["embeddings"]
    let places = try embeddings["position_embedding"].value("weight", in: graph)
    var hidden =
      try tokens.embedding(embeddings["token_embedding"])
      + places.sliced(axis: 0, from: 0, to: count)
    let mask = causalMask(in: graph)
    for index in 0..<configuration.layerCount - skippedLayers {
      hidden = try layer(hidden, weights["encoder"]["layers"][index], mask: mask)
    }
    hidden = try norm(hidden, weights["final_layer_norm"])
    try hidden.expect([rows, count, configuration.width], of: "the text encoder")
    graph.output(hidden, as: "hidden")
    graph.output(try hidden.token(at: end), as: "pooled")
    return graph
  }

  private func norm(_ hidden: Value, _ layer: WeightScope) throws(GraphError) -> Value {
    try hidden.layerNorm(layer, epsilon: configuration.epsilon)
  }

  private func layer(
    _ input: Value, _ layer: WeightScope, mask: Value
  ) throws(GraphError) -> Value {
    let attention = layer["self_attn"]
    let normed = try norm(input, layer["layer_norm1"])
    let hidden =
      try input
      + normed.linear(attention["q_proj"])
      .attention(
        key: normed.linear(attention["k_proj"]), value: normed.linear(attention["v_proj"]),
        heads: configuration.headCount, mask: mask
      )
      .linear(attention["out_proj"])
    let widened = try norm(hidden, layer["layer_norm2"]).linear(layer["mlp"]["fc1"])
    let activated =
      configuration.activation == "gelu" ? widened.gelu() : try widened.quickGELU()
    return try hidden + activated.linear(layer["mlp"]["fc2"])
  }

  /// Hides from each token those that come after it.
  private func causalMask(in graph: Graph) -> Value {
    let count = configuration.tokenCount
    let scalars = (0..<count).flatMap { row in
      (0..<count).map { column in column > row ? -Float.greatestFiniteMagnitude : 0 }
    }
    return graph.constant(scalars, shape: [1, 1, count, count])
  }
}
