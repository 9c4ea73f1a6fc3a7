internal import FlowGraph

extension Flux2TransformerConfiguration {
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
