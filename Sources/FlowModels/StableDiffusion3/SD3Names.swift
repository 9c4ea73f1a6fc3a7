internal import FlowGraph

/// Converts layer names of Stable Diffusion 3's original repository to diffusers' names.
///
/// Single-file checkpoints use the original names, and so do LoRAs trained on them. LoRAs join the
/// components of names with underscores; both separators are accepted here.
enum SD3Names {
  /// A layer of the transformer; nil for other names.
  ///
  /// - Parameters:
  ///   - name: its original name.
  ///   - lastBlock: the index of the last block, whose text has two modulation vectors; nil if it
  ///     is unknown.
  static func layer(_ name: String, lastBlock: Int?) -> LayerParts? {
    var reader = NameReader(name)
    for (original, current) in plain where reader.take(original) {
      return reader.isAtEnd ? LayerParts(current) : nil
    }
    if reader.take("final_layer.adaLN_modulation.1") {
      // The original order is shift, scale; here it is scale, shift.
      return reader.isAtEnd ? LayerParts("norm_out.linear", areHalvesSwapped: true) : nil
    }
    guard reader.take("joint_blocks"), let index = reader.takeNumber() else { return nil }
    let block = "transformer_blocks.\(index)"
    if reader.take("context_block.adaLN_modulation.1") {
      return reader.isAtEnd
        ? LayerParts("\(block).norm1_context.linear", areHalvesSwapped: index == lastBlock) : nil
    }
    for (original, layers) in blockLayers where reader.take(original) {
      guard reader.isAtEnd else { return nil }
      return LayerParts(layers.map { "\(block).\($0)" }, shares: layers.map { _ in 1 })
    }
    return nil
  }

  /// The weights that a weight of the transformer corresponds to; empty for other names.
  ///
  /// - Throws: a `GraphError` if its rows cannot be divided.
  static func weights(_ weight: Weight, lastBlock: Int) throws(GraphError) -> [Weight] {
    let name = weight.name
    if name == "pos_embed" { return [weight.named("pos_embed.pos_embed")] }
    for parameter in ["weight", "bias"] where name.hasSuffix(".\(parameter)") {
      let layer = String(name.dropLast(parameter.count + 1))
      return try Self.layer(layer, lastBlock: lastBlock)?.split(weight, as: parameter) ?? []
    }
    return []
  }

  private static let plain: [(original: String, current: String)] = [
    ("x_embedder.proj", "pos_embed.proj"), ("context_embedder", "context_embedder"),
    ("t_embedder.mlp.0", "time_text_embed.timestep_embedder.linear_1"),
    ("t_embedder.mlp.2", "time_text_embed.timestep_embedder.linear_2"),
    ("y_embedder.mlp.0", "time_text_embed.text_embedder.linear_1"),
    ("y_embedder.mlp.2", "time_text_embed.text_embedder.linear_2"),
    ("final_layer.linear", "proj_out"),
  ]

  private static let blockLayers: [(original: String, layers: [String])] = [
    ("x_block.attn.qkv", ["attn.to_q", "attn.to_k", "attn.to_v"]),
    ("x_block.attn.proj", ["attn.to_out.0"]), ("x_block.attn.ln_q", ["attn.norm_q"]),
    ("x_block.attn.ln_k", ["attn.norm_k"]),
    ("x_block.attn2.qkv", ["attn2.to_q", "attn2.to_k", "attn2.to_v"]),
    ("x_block.attn2.proj", ["attn2.to_out.0"]), ("x_block.attn2.ln_q", ["attn2.norm_q"]),
    ("x_block.attn2.ln_k", ["attn2.norm_k"]),
    ("x_block.adaLN_modulation.1", ["norm1.linear"]), ("x_block.mlp.fc1", ["ff.net.0.proj"]),
    ("x_block.mlp.fc2", ["ff.net.2"]),
    ("context_block.attn.qkv", ["attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"]),
    ("context_block.attn.proj", ["attn.to_add_out"]),
    ("context_block.attn.ln_q", ["attn.norm_added_q"]),
    ("context_block.attn.ln_k", ["attn.norm_added_k"]),
    ("context_block.mlp.fc1", ["ff_context.net.0.proj"]),
    ("context_block.mlp.fc2", ["ff_context.net.2"]),
  ]
}
