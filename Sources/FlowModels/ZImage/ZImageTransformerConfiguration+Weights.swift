internal import FlowCore
internal import FlowGraph

extension ZImageTransformerConfiguration {
  /// The configuration of a transformer, derived from the shapes of its weights.
  ///
  /// The shapes show neither how positions divide a head nor how many there are; the published values
  /// are used.
  static func values(of shapes: [String: Shape]) -> [String: ConfigurationFile.Value] {
    let embedder = "all_x_embedder.\(ZImageTransformer.patch).weight"
    let width = shapes.extent(embedder, 0) ?? 0
    let headWidth = shapes.extent("layers.0.attention.norm_q.weight", 0) ?? 0
    let heads = headWidth > 0 ? width / headWidth : 0
    return [
      "in_channels": .integer((shapes.extent(embedder, 1) ?? 0) / (patchSide * patchSide)),
      "dim": .integer(width), "n_layers": .integer(shapes.count(of: "layers")),
      "n_refiner_layers": .integer(shapes.count(of: "noise_refiner")),
      "n_heads": .integer(heads), "n_kv_heads": .integer(heads),
      "cap_feat_dim": .integer(shapes.extent("cap_embedder.1.weight", 1) ?? 0),
      "axes_lens": .list([.integer(1536), .integer(512), .integer(512)]),
    ]
  }

  /// The weights of a network, which must be complete and contain no others.
  ///
  /// - Throws: a `GraphError` if a weight is missing or unknown.
  func weights(_ store: WeightStore) throws(GraphError) -> WeightStore {
    let patch = ZImageTransformer.patch
    var names: Set = ["x_pad_token", "cap_pad_token", "cap_embedder.0.weight"]
    func add(_ layer: String, hasBias: Bool) {
      names.insert("\(layer).weight")
      if hasBias { names.insert("\(layer).bias") }
    }
    for layer in [
      "all_x_embedder.\(patch)", "all_final_layer.\(patch).linear",
      "all_final_layer.\(patch).adaLN_modulation.1", "cap_embedder.1", "t_embedder.mlp.0",
      "t_embedder.mlp.2",
    ] { add(layer, hasBias: true) }
    let stacks = [
      ("noise_refiner", refinerCount), ("context_refiner", refinerCount), ("layers", layerCount),
    ]
    let norms = ["attention_norm1", "attention_norm2", "ffn_norm1", "ffn_norm2"]
    let heads = normalizesHeads ? ["norm_q", "norm_k"] : []
    let layers =
      norms + (["to_q", "to_k", "to_v", "to_out.0"] + heads).map { "attention.\($0)" }
      + ["w1", "w2", "w3"].map { "feed_forward.\($0)" }
    for (stack, count) in stacks {
      for block in (0..<count).map({ "\(stack).\($0)" }) {
        for layer in layers { add("\(block).\(layer)", hasBias: false) }
        if stack != "context_refiner" { add("\(block).adaLN_modulation.0", hasBias: true) }
      }
    }
    return try store.restricted(
      to: names, ignoring: { _ in false }, of: "Z-Image's transformer")
  }
}
