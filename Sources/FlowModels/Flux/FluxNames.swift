internal import FlowGraph

/// Converts layer names of FLUX.1's original repository to diffusers' names.
///
/// Single-file checkpoints use the original names, and so do LoRAs trained on them. LoRAs join the
/// components of names with underscores; both separators are accepted here.
enum FluxNames {
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
    if reader.take("double_blocks"), let index = reader.takeNumber() {
      return doubleBlock(&reader, "transformer_blocks.\(index)")
    }
    if reader.take("single_blocks"), let index = reader.takeNumber() {
      return singleBlock(&reader, "single_transformer_blocks.\(index)")
    }
    return nil
  }

  /// The weights that a weight of the transformer corresponds to; empty for other names.
  static func weights(_ weight: Weight, named name: String) throws(GraphError) -> [Weight] {
    guard let dot = name.lastIndex(of: "."), let parts = layer(String(name[..<dot])) else {
      return []
    }
    let parameter = name[name.index(after: dot)...]
    switch parameter {
    case "weight", "bias": return try parts.split(weight, as: String(parameter))
    case "scale": return try parts.split(weight, as: "weight")
    default: return []
    }
  }

  private static let plain: [(original: String, current: String)] = {
    let embedders = [
      ("time_in", "timestep_embedder"), ("vector_in", "text_embedder"),
      ("guidance_in", "guidance_embedder"),
    ].flatMap { original, current in
      [("in_layer", "linear_1"), ("out_layer", "linear_2")].map { place, layer in
        ("\(original).\(place)", "time_text_embed.\(current).\(layer)")
      }
    }
    return embedders + [
      ("img_in", "x_embedder"), ("txt_in", "context_embedder"), ("final_layer.linear", "proj_out"),
    ]
  }()

  private static func doubleBlock(_ reader: inout NameReader, _ block: String) -> LayerParts? {
    for (original, layers) in doubleLayers where reader.take(original) {
      guard reader.isAtEnd else { return nil }
      return LayerParts(
        layers.map { "\(block).\($0)" }, shares: layers.map { _ in 1 })
    }
    return nil
  }

  private static func singleBlock(_ reader: inout NameReader, _ block: String) -> LayerParts? {
    for (original, layers, shares) in singleLayers where reader.take(original) {
      guard reader.isAtEnd else { return nil }
      return LayerParts(layers.map { "\(block).\($0)" }, shares: shares)
    }
    return nil
  }

  private static let heads = ["attn.to_q", "attn.to_k", "attn.to_v"]
  private static let textHeads = ["attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"]

  private static let doubleLayers: [(original: String, layers: [String])] = [
    ("img_mod.lin", ["norm1.linear"]), ("txt_mod.lin", ["norm1_context.linear"]),
    ("img_attn.qkv", heads), ("txt_attn.qkv", textHeads),
    ("img_attn.norm.query_norm", ["attn.norm_q"]), ("img_attn.norm.key_norm", ["attn.norm_k"]),
    ("txt_attn.norm.query_norm", ["attn.norm_added_q"]),
    ("txt_attn.norm.key_norm", ["attn.norm_added_k"]),
    ("img_attn.proj", ["attn.to_out.0"]), ("txt_attn.proj", ["attn.to_add_out"]),
    ("img_mlp.0", ["ff.net.0.proj"]), ("img_mlp.2", ["ff.net.2"]),
    ("txt_mlp.0", ["ff_context.net.0.proj"]), ("txt_mlp.2", ["ff_context.net.2"]),
    // XLabs' attention processors: 1 is the image's, 2 the text's.
    ("qkv.1", heads), ("qkv.2", textHeads), ("proj.1", ["attn.to_out.0"]),
    ("proj.2", ["attn.to_add_out"]),
  ]

  /// The feed-forward of a single block is four times as wide as its tokens.
  private static let singleLayers: [(original: String, layers: [String], shares: [Int])] = [
    ("linear1", heads + ["proj_mlp"], [1, 1, 1, 4]), ("linear2", ["proj_out"], [1]),
    ("modulation.lin", ["norm.linear"], [1]), ("norm.query_norm", ["attn.norm_q"], [1]),
    ("norm.key_norm", ["attn.norm_k"], [1]),
    // XLabs' attention processors.
    ("qkv", heads, [1, 1, 1]), ("proj", ["proj_out"], [1]),
  ]
}
