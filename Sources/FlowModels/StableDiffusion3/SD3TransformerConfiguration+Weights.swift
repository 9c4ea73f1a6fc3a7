internal import FlowGraph

extension SD3TransformerConfiguration {
  /// The weights of a transformer, which must be complete and contain no others.
  ///
  /// - Throws: a `GraphError` if a weight is missing or unknown.
  func weights(_ store: WeightStore) throws(GraphError) -> WeightStore {
    try store.restricted(
      to: weightNames, ignoring: { _ in false }, of: "Stable Diffusion 3's transformer")
  }

  /// The names of all weights of a transformer.
  var weightNames: Set<String> { weightNames(endsWithText: false) }

  /// The names of all weights of a transformer.
  ///
  /// - Parameter endsWithText: whether the last block changes the text like all others.
  func weightNames(endsWithText: Bool) -> Set<String> {
    var layers = ["pos_embed.proj", "context_embedder", "norm_out.linear", "proj_out"]
    for embedder in ["timestep_embedder", "text_embedder"] {
      layers += ["linear_1", "linear_2"].map { "time_text_embed.\(embedder).\($0)" }
    }
    var norms: [String] = []
    for index in 0..<layerCount {
      let block = "transformer_blocks.\(index)"
      let isLast = index == layerCount - 1 && !endsWithText
      let isDual = dualLayers.contains(index)
      var names = [
        "norm1.linear", "norm1_context.linear", "attn.to_q", "attn.to_k", "attn.to_v",
        "attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj", "attn.to_out.0",
        "ff.net.0.proj", "ff.net.2",
      ]
      if !isLast { names += ["attn.to_add_out", "ff_context.net.0.proj", "ff_context.net.2"] }
      if isDual { names += ["attn2.to_q", "attn2.to_k", "attn2.to_v", "attn2.to_out.0"] }
      layers += names.map { "\(block).\($0)" }
      guard normalizesQueries else { continue }
      norms += ["norm_q", "norm_k", "norm_added_q", "norm_added_k"].map { "\(block).attn.\($0)" }
      if isDual { norms += ["norm_q", "norm_k"].map { "\(block).attn2.\($0)" } }
    }
    return Set(
      layers.flatMap { ["\($0).weight", "\($0).bias"] } + norms.map { "\($0).weight" }
        + ["pos_embed.pos_embed"])
  }
}

extension SD3Transformer {
  /// The layers that always compute in float32: the first and the last, and those that run once per
  /// prompt or timestep.
  func floatLayers() -> Set<String> {
    let embeddings = ["timestep_embedder", "text_embedder"].flatMap { name in
      ["linear_1", "linear_2"].map { weights["time_text_embed"][name][$0].path }
    }
    return Set(
      ["pos_embed.proj", "context_embedder", "proj_out"] + embeddings
        + modulationLayers().map(\.path))
  }
}
