internal import FlowGraph

/// The checked `config.json` of an `SD3ControlNetModel`.
struct SD3ControlNetConfiguration: Equatable {
  /// The configuration of its blocks, all of which update the text.
  let transformer: SD3TransformerConfiguration
  /// Whether it reads the text; otherwise its blocks read the image alone, after the first layer of
  /// the model's network (Stable Diffusion 3.5 Large).
  let readsText: Bool
  /// Whether it was trained with zero pooled text and with latents that are not shifted.
  let zeroesPooledText: Bool

  init(_ file: ConfigurationFile) throws(ModelError) {
    let className = ConfigurationFile.Value.text("SD3ControlNetModel")
    guard file["_class_name"] == className else {
      throw file.unsupported("_class_name", expected: "\(className.words) for this model")
    }
    try file.require("extra_conditioning_channels", isOneOf: [.integer(0)])
    readsText =
      file["joint_attention_dim"] != nil || !file.keys.contains("joint_attention_dim")
    zeroesPooledText = try file.bool("force_zeros_for_pooled_projection", default: true)
    // With text it has its own position embedding, without text it has the network's.
    try file.require("use_pos_embed", isOneOf: [.bool(readsText)])
    if readsText {
      guard file["pos_embed_type"] != nil || !file.keys.contains("pos_embed_type") else {
        throw file.unsupported("pos_embed_type", expected: "\"sincos\"")
      }
      try file.require("pos_embed_type", isOneOf: [.text("sincos")])
    } else {
      guard file["use_pos_embed"] != nil else {
        throw file.unsupported(
          "use_pos_embed", expected: "false, since joint_attention_dim is null")
      }
    }
    var values = Dictionary(uniqueKeysWithValues: file.keys.map { ($0, file[$0] ?? .null) })
    for key in [
      "extra_conditioning_channels", "use_pos_embed", "pos_embed_type",
      "force_zeros_for_pooled_projection",
    ] { values[key] = nil }
    values["_class_name"] = .text("SD3Transformer2DModel")
    if !readsText {
      for key in ["joint_attention_dim", "pos_embed_max_size", "qk_norm", "dual_attention_layers"] {
        values[key] = nil
      }
      let width =
        try file.integer("num_attention_heads", default: 18, in: 1...4096)
        * file.integer("attention_head_dim", default: 64, in: 1...4096)
      values["caption_projection_dim"] = .integer(width)
    }
    transformer = try SD3TransformerConfiguration(
      ConfigurationFile(path: file.path, values: values))
  }

  /// - Throws: `fileInvalid` if it belongs to another kind of network.
  func check(
    fits network: SD3TransformerConfiguration, _ context: ControlNetContext
  ) throws(ModelError) {
    var traits: [ControlNetContext.Trait] = [
      .init("latent channels", "in_channels", transformer.channels, network.channels),
      .init("latent pixels of a patch", "patch_size", transformer.patchSize, network.patchSize),
      .init(
        "channels of a token", "num_attention_heads * attention_head_dim", transformer.width,
        network.width),
      .init(
        "pooled text features", "pooled_projection_dim", transformer.pooledWidth,
        network.pooledWidth),
    ]
    if readsText {
      traits.append(
        .init("text features", "joint_attention_dim", transformer.textWidth, network.textWidth))
    }
    try context.check(traits)
    guard transformer.layerCount <= network.layerCount else {
      throw ModelError(
        code: .fileInvalid,
        message: "'\(context.path)': the ControlNet has \(transformer.layerCount) blocks "
          + "(num_layers), the model only \(network.layerCount); it is for another kind of model")
    }
  }

  /// Its weights; all must be present, and no others.
  ///
  /// - Throws: a `GraphError` for a missing or unknown weight.
  func weights(_ store: WeightStore) throws(GraphError) -> WeightStore {
    try store.restricted(
      to: weightNames, ignoring: { _ in false }, of: "a ControlNet of Stable Diffusion 3")
  }

  /// The names of a ControlNet's weights.
  var weightNames: Set<String> {
    func parameters(_ layers: [String]) -> [String] {
      layers.flatMap { ["\($0).weight", "\($0).bias"] }
    }
    let own = parameters(
      (0..<transformer.layerCount).map { "controlnet_blocks.\($0)" } + ["pos_embed_input.proj"])
    guard !readsText else {
      return transformer.weightNames(endsWithText: true)
        .subtracting(parameters(["norm_out.linear", "proj_out"])).union(own)
    }
    let embedders = ["timestep_embedder", "text_embedder"].flatMap { embedder in
      ["linear_1", "linear_2"].map { "time_text_embed.\(embedder).\($0)" }
    }
    let blocks = (0..<transformer.layerCount).flatMap { index in
      [
        "norm1.linear", "attn.to_q", "attn.to_k", "attn.to_v", "attn.to_out.0", "ff.net.0.proj",
        "ff.net.2",
      ].map { "transformer_blocks.\(index).\($0)" }
    }
    return Set(own + parameters(embedders + blocks))
  }
}
