internal import FlowCore
internal import FlowGraph

/// The checked `config.json` of a `ControlNetModel`.
struct UNetControlNetConfiguration: Equatable {
  /// The configuration of its down blocks and middle block.
  let unet: UNetConfiguration
  /// The channels of the control image's convolutions, from the full resolution to that of latents.
  let hintChannels: [Int]
  /// Whether it reads BGR instead of RGB.
  let isBlueFirst: Bool
  /// Whether its residuals are averaged over all positions, so that they carry the content of an
  /// image and not its layout (Shuffle); it then controls the conditional prediction alone.
  let isPooled: Bool

  private static let known: Set = [
    "act_fn", "addition_embed_type", "addition_embed_type_num_heads", "addition_time_embed_dim",
    "attention_head_dim", "block_out_channels", "class_embed_type", "conditioning_channels",
    "conditioning_embedding_out_channels", "controlnet_conditioning_channel_order",
    "cross_attention_dim", "down_block_types", "downsample_padding", "encoder_hid_dim",
    "encoder_hid_dim_type", "flip_sin_to_cos", "freq_shift", "global_pool_conditions",
    "in_channels", "layers_per_block", "mid_block_scale_factor", "mid_block_type", "norm_eps",
    "norm_num_groups", "num_attention_heads", "num_class_embeds", "only_cross_attention",
    "projection_class_embeddings_input_dim", "resnet_time_scale_shift",
    "transformer_layers_per_block", "upcast_attention", "use_linear_projection",
  ]

  init(_ file: ConfigurationFile) throws(ModelError) {
    let className = ConfigurationFile.Value.text("ControlNetModel")
    guard file["_class_name"] == nil || file["_class_name"] == className else {
      throw file.unsupported("_class_name", expected: "\(className.words) for this model")
    }
    for key in file.keys where !key.hasPrefix("_") && !Self.known.contains(key) {
      try file.require(key, isOneOf: [])
    }
    try file.require("conditioning_channels", isOneOf: [.integer(3)])
    let plainMiddle = ConfigurationFile.Value.text("UNetMidBlock2D")
    try file.require(
      "mid_block_type", isOneOf: [.text("UNetMidBlock2DCrossAttn"), plainMiddle])
    try file.require(
      "controlnet_conditioning_channel_order", isOneOf: [.text("rgb"), .text("bgr")])
    hintChannels = try file.integers(
      "conditioning_embedding_out_channels", default: [16, 32, 96, 256], count: nil, in: 1...65536)
    isBlueFirst = file["controlnet_conditioning_channel_order"] == .text("bgr")
    isPooled = try file.bool("global_pool_conditions", default: false)

    var values = Dictionary(uniqueKeysWithValues: file.keys.map { ($0, file[$0] ?? .null) })
    values["_class_name"] = nil
    values["mid_block_type"] = nil
    let down = try file.texts(
      "down_block_types",
      default: [
        "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D",
      ])
    if case .list(let depths) = file["transformer_layers_per_block"] {
      // The depth of a block without attention is unused, and may be 0.
      values["transformer_layers_per_block"] = .list(
        depths.enumerated().map { index, depth in
          down.indices.contains(index) && down[index] == "DownBlock2D" && depth == .integer(0)
            ? .integer(1) : depth
        })
    }
    // It has no up blocks.
    values["up_block_types"] = .list(down.map { _ in .text("UpBlock2D") })
    var unet = try UNetConfiguration(ConfigurationFile(path: file.path, values: values))
    unet.attendsInMiddle = file["mid_block_type"] != plainMiddle
    self.unet = unet
  }

  /// The number of skip connections, to each of which it adds a residual.
  var skipCount: Int {
    1 + unet.levels.reduce(0) { $0 + $1.layerCount } + unet.levels.count - 1
  }

  /// Whether any of its blocks attends to the text.
  private var readsText: Bool { unet.attendsInMiddle || unet.levels.contains(where: \.attendsDown) }

  /// The side of control image pixels of an output pixel.
  var hintFactor: Int { 1 << (hintChannels.count - 1) }

  /// - Throws: `fileInvalid` if it belongs to another kind of network.
  func check(fits network: UNetConfiguration, _ context: ControlNetContext) throws(ModelError) {
    func layers(_ configuration: UNetConfiguration) -> [Int] {
      configuration.levels.map(\.layerCount)
    }
    try context.check([
      .init("latent channels", "in_channels", unet.inputChannels, network.inputChannels),
      .init(
        "channels", "block_out_channels", unet.levels.map(\.channels),
        network.levels.map(\.channels)),
      .init("layers", "layers_per_block", layers(unet), layers(network)),
      .init(
        "text features", "cross_attention_dim",
        readsText ? unet.conditioningWidth : network.conditioningWidth, network.conditioningWidth),
      .init(
        "pooled text features", "projection_class_embeddings_input_dim",
        unet.addition?.pooledWidth ?? 0, network.addition?.pooledWidth ?? 0),
      .init(
        "pixels for each latent pixel", "conditioning_embedding_out_channels", hintFactor,
        context.factor),
    ])
  }

  /// The `config.json` values that follow from the shapes of a ControlNet's weights.
  static func values(of shapes: [String: Shape]) -> [String: ConfigurationFile.Value] {
    var values = UNetConfiguration.values(of: shapes, .sd1)
    for key in ["up_block_types", "out_channels", "sample_size"] { values[key] = nil }
    values["_class_name"] = .text("ControlNetModel")
    if !shapes.has("mid_block.attentions") { values["mid_block_type"] = .text("UNetMidBlock2D") }
    // Without attention the text's width is unknown and unused.
    if values["cross_attention_dim"] == .integer(0) { values["cross_attention_dim"] = nil }
    let hint = "controlnet_cond_embedding"
    let channels =
      [shapes.extent("\(hint).conv_in.weight", 0) ?? 0]
      + stride(from: 1, to: shapes.count(of: "\(hint).blocks"), by: 2).map { index in
        shapes.extent("\(hint).blocks.\(index).weight", 0) ?? 0
      }
    values["conditioning_embedding_out_channels"] = .list(channels.map { .integer($0) })
    return values
  }
}
