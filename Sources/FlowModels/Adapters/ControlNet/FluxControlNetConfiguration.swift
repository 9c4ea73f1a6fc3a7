internal import FlowCore
internal import FlowGraph

/// The checked `config.json` of a `FluxControlNetModel`.
struct FluxControlNetConfiguration: Equatable {
  /// The configuration of its blocks.
  let transformer: FluxTransformerConfiguration
  /// The number of kinds of control images of a union; nil for a ControlNet of one kind.
  let modeCount: Int?
  /// The convolutions over the control image's pixels; nil if it reads latents.
  let hint: Hint?

  /// Convolutions over pixels, whose patches are tokens (XLabs).
  struct Hint: Equatable {
    let channels: Int
    let patchSide: Int
    /// The channels at each resolution, the same in all of them.
    static let channels = [16, 16, 16, 16]
    /// The side in pixels of an output pixel.
    static var factor: Int { 1 << (channels.count - 1) }
  }

  init(_ file: ConfigurationFile) throws(ModelError) {
    let className = ConfigurationFile.Value.text("FluxControlNetModel")
    guard file["_class_name"] == className else {
      throw file.unsupported("_class_name", expected: "\(className.words) for this model")
    }
    modeCount =
      file["num_mode"] == nil ? nil : try file.integer("num_mode", default: 1, in: 1...65536)
    var values = Dictionary(uniqueKeysWithValues: file.keys.map { ($0, file[$0] ?? .null) })
    for key in ["num_mode", "conditioning_embedding_channels"] { values[key] = nil }
    values["_class_name"] = .text("FluxTransformer2DModel")
    if file["conditioning_embedding_channels"] != nil {
      let side = try file.integer("patch_size", default: 1, in: 1...64)
      let channels = try file.integer(
        "conditioning_embedding_channels", default: 16, in: 1...65536)
      hint = Hint(channels: channels, patchSide: side)
      values["patch_size"] = nil
    } else {
      hint = nil
    }
    transformer = try FluxTransformerConfiguration(
      ConfigurationFile(path: file.path, values: values))
    if let hint {
      let area = FluxTransformerConfiguration.patchSide * FluxTransformerConfiguration.patchSide
      guard hint.channels * hint.patchSide * hint.patchSide == transformer.channels * area else {
        throw file.unsupported(
          "conditioning_embedding_channels",
          expected: "in_channels (\(transformer.channels * area)) divided by the square of "
            + "patch_size (\(hint.patchSide))")
      }
    }
  }

  /// The configuration of a ControlNet, derived from the shapes of its weights in diffusers' names.
  static func values(of shapes: [String: Shape]) -> [String: ConfigurationFile.Value] {
    var values = FluxTransformerConfiguration.values(of: shapes)
    values["_class_name"] = .text("FluxControlNetModel")
    values["out_channels"] = nil
    if let modes = shapes.extent("controlnet_mode_embedder.weight", 0) {
      values["num_mode"] = .integer(modes)
    }
    if let channels = shapes.extent("input_hint_block.conv_out.weight", 0) {
      values["conditioning_embedding_channels"] = .integer(channels)
      values["patch_size"] = .integer(FluxTransformerConfiguration.patchSide)
    }
    return values
  }

  /// - Throws: `fileInvalid` if it belongs to another kind of network.
  func check(
    fits network: FluxTransformerConfiguration, _ context: ControlNetContext
  ) throws(ModelError) {
    try context.check([
      .init("latent channels", "in_channels", transformer.channels, network.channels),
      .init(
        "channels of a token", "num_attention_heads * attention_head_dim", transformer.width,
        network.width),
      .init("text features", "joint_attention_dim", transformer.textWidth, network.textWidth),
      .init(
        "pooled text features", "pooled_projection_dim", transformer.pooledWidth,
        network.pooledWidth),
    ])
    if let hint {
      let own = Hint.factor * hint.patchSide
      let expected = context.factor * FluxTransformerConfiguration.patchSide
      try context.check([
        .init("pixels of a token", "patch_size", own, expected)
      ])
    }
    for (words, own, other) in [
      ("num_layers", transformer.doubleBlockCount, network.doubleBlockCount),
      ("num_single_layers", transformer.singleBlockCount, network.singleBlockCount),
    ] where own > other {
      throw ModelError(
        code: .fileInvalid,
        message: "'\(context.path)': the ControlNet has \(own) blocks (\(words)), the model only "
          + "\(other); it is for another kind of model")
    }
    guard !transformer.readsGuidance || network.readsGuidance else {
      throw ModelError(
        code: .fileInvalid,
        message: "'\(context.path)': the ControlNet reads the guidance scale (guidance_embeds), "
          + "which the model does not; it is for FLUX.1 dev, not schnell")
    }
  }

  /// The requested mode.
  ///
  /// - Throws: `requestInvalid` if a union is given no mode or an unknown one, or if another
  ///   ControlNet is given one.
  func mode(_ context: ControlNetContext) throws(ModelError) -> Int? {
    guard let modeCount else {
      try context.refuseMode()
      return nil
    }
    guard let mode = context.options.mode, (0..<modeCount).contains(mode) else {
      throw ModelError(
        code: .requestInvalid,
        message: "'\(context.path)': the ControlNet is a union of \(modeCount) kinds of control "
          + "images (num_mode), and needs a mode of 0 to \(modeCount - 1), got "
          + "\(context.options.mode.map { "\($0)" } ?? "none"); its publisher says which is which",
        settings: [.adapterMode])
    }
    return mode
  }

  /// Its weights; all must be present, and no others.
  ///
  /// - Throws: a `GraphError` for a missing or unknown weight.
  func weights(_ store: WeightStore) throws(GraphError) -> WeightStore {
    try store.restricted(to: weightNames, ignoring: { _ in false }, of: "a ControlNet of FLUX.1")
  }

  /// The names of a ControlNet's weights.
  var weightNames: Set<String> {
    func parameters(_ layers: [String]) -> [String] {
      layers.flatMap { ["\($0).weight", "\($0).bias"] }
    }
    var own =
      ["controlnet_x_embedder"]
      + (0..<transformer.doubleBlockCount).map { "controlnet_blocks.\($0)" }
      + (0..<transformer.singleBlockCount).map { "controlnet_single_blocks.\($0)" }
    if hint != nil {
      own +=
        ["input_hint_block.conv_in", "input_hint_block.conv_out"]
        + (0..<2 * (Hint.channels.count - 1)).map { "input_hint_block.blocks.\($0)" }
    }
    return transformer.weightNames.subtracting(parameters(["norm_out.linear", "proj_out"]))
      .union(parameters(own))
      .union(modeCount == nil ? [] : ["controlnet_mode_embedder.weight"])
  }
}
