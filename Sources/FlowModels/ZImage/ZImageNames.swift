internal import FlowGraph

/// Converts layer names of Z-Image's single files to diffusers' names.
///
/// LoRAs use them too, and join the components of names with underscores; both separators are
/// accepted here.
enum ZImageNames {
  /// A layer of the transformer; nil for other names.
  static func layer(_ name: String) -> LayerParts? {
    var reader = NameReader(name)
    for (original, current) in plain where reader.take(original) {
      return reader.isAtEnd ? LayerParts(current) : nil
    }
    for stack in ["noise_refiner", "context_refiner", "layers"] where reader.take(stack) {
      guard let index = reader.takeNumber() else { return nil }
      for (original, layers) in layers where reader.take(original) {
        guard reader.isAtEnd else { return nil }
        return LayerParts(
          layers.map { "\(stack).\(index).\($0)" }, shares: layers.map { _ in 1 })
      }
      return nil
    }
    return nil
  }

  /// The weights that a weight of the transformer corresponds to; nil for a name that it does not
  /// have.
  static func weights(_ weight: Weight) throws(GraphError) -> [Weight]? {
    let name = weight.name
    if ["x_pad_token", "cap_pad_token"].contains(name) { return [weight] }
    // Nothing reads it.
    if name == "norm_final.weight" { return [] }
    guard let dot = name.lastIndex(of: "."), let parts = layer(String(name[..<dot])) else {
      return nil
    }
    let parameter = name[name.index(after: dot)...]
    guard parameter == "weight" || parameter == "bias" else { return nil }
    return try parts.split(weight, as: String(parameter))
  }

  private static let plain: [(original: String, current: String)] = [
    ("x_embedder", "all_x_embedder.\(ZImageTransformer.patch)"),
    ("final_layer.linear", "all_final_layer.\(ZImageTransformer.patch).linear"),
    (
      "final_layer.adaLN_modulation.1",
      "all_final_layer.\(ZImageTransformer.patch).adaLN_modulation.1"
    ), ("cap_embedder.0", "cap_embedder.0"), ("cap_embedder.1", "cap_embedder.1"),
    ("t_embedder.mlp.0", "t_embedder.mlp.0"), ("t_embedder.mlp.2", "t_embedder.mlp.2"),
  ]

  private static let layers: [(original: String, layers: [String])] =
    [
      ("attention.qkv", ["attention.to_q", "attention.to_k", "attention.to_v"]),
      ("attention.out", ["attention.to_out.0"]), ("attention.q_norm", ["attention.norm_q"]),
      ("attention.k_norm", ["attention.norm_k"]),
    ]
    + [
      "attention.to_q", "attention.to_k", "attention.to_v", "attention.to_out.0",
      "attention.norm_q", "attention.norm_k", "attention_norm1", "attention_norm2", "ffn_norm1",
      "ffn_norm2", "feed_forward.w1", "feed_forward.w2", "feed_forward.w3", "adaLN_modulation.0",
    ].map { ($0, [$0]) }
}
