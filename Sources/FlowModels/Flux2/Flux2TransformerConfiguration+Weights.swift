internal import FlowCore
internal import FlowGraph

extension Flux2TransformerConfiguration {
  /// The configuration of a transformer, derived from the shapes of its weights.
  ///
  /// The shapes do not show how positions divide a head; the published values are used.
  static func values(of shapes: [String: Shape]) -> [String: ConfigurationFile.Value] {
    func extent(_ name: String, _ axis: Int) -> ConfigurationFile.Value {
      .integer(shapes.extent(name, axis) ?? 0)
    }
    let headWidth = shapes.extent("transformer_blocks.0.attn.norm_q.weight", 0) ?? 0
    let width = shapes.extent("x_embedder.weight", 0) ?? 0
    return [
      "in_channels": extent("x_embedder.weight", 1),
      "num_layers": .integer(shapes.count(of: "transformer_blocks")),
      "num_single_layers": .integer(shapes.count(of: "single_transformer_blocks")),
      "attention_head_dim": .integer(headWidth),
      "num_attention_heads": .integer(headWidth > 0 ? width / headWidth : 0),
      "joint_attention_dim": extent("context_embedder.weight", 1),
      "timestep_guidance_channels": extent(
        "time_guidance_embed.timestep_embedder.linear_1.weight", 1),
      "guidance_embeds": .bool(shapes.has("time_guidance_embed.guidance_embedder")),
    ]
  }

  /// The weights of a network, which must be complete and contain no others.
  ///
  /// - Throws: a `GraphError` if a weight is missing or unknown.
  func weights(_ store: WeightStore) throws(GraphError) -> WeightStore {
    var layers = [
      "x_embedder", "context_embedder", "norm_out.linear", "proj_out",
      "double_stream_modulation_img.linear", "double_stream_modulation_txt.linear",
      "single_stream_modulation.linear",
    ]
    for embedder in ["timestep_embedder"] + (readsGuidance ? ["guidance_embedder"] : []) {
      layers += ["linear_1", "linear_2"].map { "time_guidance_embed.\(embedder).\($0)" }
    }
    for index in 0..<layerCount {
      layers += [
        "attn.to_q", "attn.to_k", "attn.to_v", "attn.to_out.0", "attn.norm_q", "attn.norm_k",
        "attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj", "attn.to_add_out",
        "attn.norm_added_q", "attn.norm_added_k", "ff.linear_in", "ff.linear_out",
        "ff_context.linear_in", "ff_context.linear_out",
      ].map { "transformer_blocks.\(index).\($0)" }
    }
    for index in 0..<singleLayerCount {
      layers += ["to_qkv_mlp_proj", "to_out", "norm_q", "norm_k"].map {
        "single_transformer_blocks.\(index).attn.\($0)"
      }
    }
    // None of them has a bias.
    return try store.restricted(
      to: Set(layers.map { "\($0).weight" }), ignoring: { _ in false }, of: "FLUX.2's transformer")
  }
}
