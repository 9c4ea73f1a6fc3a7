internal import FlowCore
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

  /// The configuration of a ControlNet, derived from the shapes of its weights in diffusers' names.
  ///
  /// The shapes do not show the width of a head, nor whether the pooled text was zero in training;
  /// the values of the published ControlNets are used: 64, and zero for Stable Diffusion 3 alone.
  static func values(of shapes: [String: Shape]) -> [String: ConfigurationFile.Value] {
    func extent(_ name: String, _ axis: Int) -> ConfigurationFile.Value {
      .integer(shapes.extent(name, axis) ?? 0)
    }
    let headWidth = 64
    let width = shapes.extent("pos_embed_input.proj.weight", 0) ?? 0
    let layerCount = shapes.count(of: "transformer_blocks")
    var values: [String: ConfigurationFile.Value] = [
      "_class_name": .text("SD3ControlNetModel"),
      "patch_size": extent("pos_embed_input.proj.weight", 2),
      "num_layers": .integer(layerCount),
      "attention_head_dim": .integer(headWidth),
      "num_attention_heads": .integer(width / headWidth),
      "caption_projection_dim": .integer(width),
      "pooled_projection_dim": extent("time_text_embed.text_embedder.linear_1.weight", 1),
    ]
    let control = shapes.extent("pos_embed_input.proj.weight", 1) ?? 0
    guard shapes.has("context_embedder") else {
      values["in_channels"] = .integer(control)
      values["out_channels"] = .integer(control)
      for key in ["joint_attention_dim", "pos_embed_type", "pos_embed_max_size"] {
        values[key] = .null
      }
      values["use_pos_embed"] = .bool(false)
      values["force_zeros_for_pooled_projection"] = .bool(false)
      return values
    }
    let channels = shapes.extent("pos_embed.proj.weight", 1) ?? 0
    values["in_channels"] = .integer(channels)
    values["out_channels"] = .integer(channels)
    values["extra_conditioning_channels"] = .integer(control - channels)
    values["joint_attention_dim"] = extent("context_embedder.weight", 1)
    let positions = shapes.extent("pos_embed.pos_embed", 1) ?? 0
    values["pos_embed_max_size"] = .integer(Int(Double(positions).squareRoot()))
    let isNormalized = shapes.extent("transformer_blocks.0.attn.norm_q.weight", 0) != nil
    if isNormalized { values["qk_norm"] = .text("rms_norm") }
    values["dual_attention_layers"] = .list(
      (0..<layerCount).filter { shapes.has("transformer_blocks.\($0).attn2.to_q") }
        .map { .integer($0) })
    values["force_zeros_for_pooled_projection"] = .bool(!isNormalized)
    return values
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
