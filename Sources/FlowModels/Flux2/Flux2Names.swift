internal import FlowGraph

/// Converts layer names of FLUX.2's original repository to diffusers' names.
///
/// Single-file checkpoints use the original names, and so do LoRAs trained on them. LoRAs join the
/// components of names with underscores; both separators are accepted here.
enum Flux2Names {
  /// A layer of the transformer; nil for other names.
  static func layer(_ name: String) -> LayerParts? {
    var reader = NameReader(name)
    for (original, current) in plain where reader.take(original) {
      return reader.isAtEnd ? LayerParts(current) : nil
    }
    if reader.take("final_layer.adaLN_modulation.1") {
      // The original order is shift, scale; here it is scale, shift.
      return reader.isAtEnd ? LayerParts("norm_out.linear", areHalvesSwapped: true) : nil
    }
    let (block, layers): (String, [(original: String, layers: [String])])
    if reader.take("double_blocks"), let index = reader.takeNumber() {
      (block, layers) = ("transformer_blocks.\(index)", doubleLayers)
    } else if reader.take("single_blocks"), let index = reader.takeNumber() {
      (block, layers) = ("single_transformer_blocks.\(index)", singleLayers)
    } else {
      return nil
    }
    for (original, names) in layers where reader.take(original) {
      guard reader.isAtEnd else { return nil }
      return LayerParts(names.map { "\(block).\($0)" }, shares: names.map { _ in 1 })
    }
    return nil
  }

  /// The weights that a weight of the transformer corresponds to; empty for other names.
  static func weights(_ weight: Weight) throws(GraphError) -> [Weight] {
    let name = weight.name
    guard let dot = name.lastIndex(of: "."), let parts = layer(String(name[..<dot])) else {
      return []
    }
    switch name[name.index(after: dot)...] {
    // Norms have a scale.
    case "weight", "scale": return try parts.split(weight, as: "weight")
    default: return []
    }
  }

  private static let plain: [(original: String, current: String)] = {
    let embedders = [("time_in", "timestep_embedder"), ("guidance_in", "guidance_embedder")]
      .flatMap { original, current in
        [("in_layer", "linear_1"), ("out_layer", "linear_2")].map { place, layer in
          ("\(original).\(place)", "time_guidance_embed.\(current).\(layer)")
        }
      }
    let modulations = [
      "double_stream_modulation_img", "double_stream_modulation_txt", "single_stream_modulation",
    ].map { ("\($0).lin", "\($0).linear") }
    return embedders + modulations + [
      ("img_in", "x_embedder"), ("txt_in", "context_embedder"), ("final_layer.linear", "proj_out"),
    ]
  }()

  private static let doubleLayers: [(original: String, layers: [String])] = [
    ("img_attn.qkv", ["attn.to_q", "attn.to_k", "attn.to_v"]),
    ("txt_attn.qkv", ["attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"]),
    ("img_attn.norm.query_norm", ["attn.norm_q"]), ("img_attn.norm.key_norm", ["attn.norm_k"]),
    ("txt_attn.norm.query_norm", ["attn.norm_added_q"]),
    ("txt_attn.norm.key_norm", ["attn.norm_added_k"]),
    ("img_attn.proj", ["attn.to_out.0"]), ("txt_attn.proj", ["attn.to_add_out"]),
    ("img_mlp.0", ["ff.linear_in"]), ("img_mlp.2", ["ff.linear_out"]),
    ("txt_mlp.0", ["ff_context.linear_in"]), ("txt_mlp.2", ["ff_context.linear_out"]),
  ]

  private static let singleLayers: [(original: String, layers: [String])] = [
    ("linear1", ["attn.to_qkv_mlp_proj"]), ("linear2", ["attn.to_out"]),
    ("norm.query_norm", ["attn.norm_q"]), ("norm.key_norm", ["attn.norm_k"]),
  ]
}
