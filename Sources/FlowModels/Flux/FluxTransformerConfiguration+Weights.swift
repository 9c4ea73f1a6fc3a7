internal import FlowCore
internal import FlowGraph

extension FluxTransformerConfiguration {
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
      "out_channels": extent("proj_out.weight", 0),
      "num_layers": .integer(shapes.count(of: "transformer_blocks")),
      "num_single_layers": .integer(shapes.count(of: "single_transformer_blocks")),
      "attention_head_dim": .integer(headWidth),
      "num_attention_heads": .integer(headWidth > 0 ? width / headWidth : 0),
      "joint_attention_dim": extent("context_embedder.weight", 1),
      "pooled_projection_dim": extent("time_text_embed.text_embedder.linear_1.weight", 1),
      "guidance_embeds": .bool(shapes.has("time_text_embed.guidance_embedder")),
    ]
  }

  /// The weights of a transformer, which must be complete and contain no others.
  ///
  /// - Throws: a `GraphError` if a weight is missing or unknown.
  func weights(_ store: WeightStore) throws(GraphError) -> WeightStore {
    try store.restricted(to: weightNames, ignoring: { _ in false }, of: "FLUX's transformer")
  }

  /// The names of a transformer's weights.
  var weightNames: Set<String> {
    var layers = ["x_embedder", "context_embedder", "norm_out.linear", "proj_out"]
    var norms: [String] = []
    let embedders =
      ["timestep_embedder", "text_embedder"] + (readsGuidance ? ["guidance_embedder"] : [])
    for embedder in embedders {
      layers += ["linear_1", "linear_2"].map { "time_text_embed.\(embedder).\($0)" }
    }
    for block in (0..<doubleBlockCount).map({ "transformer_blocks.\($0)" }) {
      layers += [
        "norm1.linear", "norm1_context.linear", "attn.to_q", "attn.to_k", "attn.to_v",
        "attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj", "attn.to_out.0",
        "attn.to_add_out", "ff.net.0.proj", "ff.net.2", "ff_context.net.0.proj",
        "ff_context.net.2",
      ].map { "\(block).\($0)" }
      norms += ["norm_q", "norm_k", "norm_added_q", "norm_added_k"].map { "\(block).attn.\($0)" }
    }
    for block in (0..<singleBlockCount).map({ "single_transformer_blocks.\($0)" }) {
      layers += ["norm.linear", "attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp", "proj_out"]
        .map { "\(block).\($0)" }
      norms += ["norm_q", "norm_k"].map { "\(block).attn.\($0)" }
    }
    let names = layers.flatMap { ["\($0).weight", "\($0).bias"] } + norms.map { "\($0).weight" }
    return Set(names)
  }
}
