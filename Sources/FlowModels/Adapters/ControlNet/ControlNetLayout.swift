internal import FlowCore
internal import FlowGraph

/// The layouts of a ControlNet in one file, each recognized by weights that only it has.
enum ControlNetLayout: CaseIterable {
  /// Stable Diffusion 1, 2 and XL in diffusers' names.
  case unet
  /// Stable Diffusion 1 and 2 in the original names, possibly beside a whole model's weights.
  case originalUNet
  /// Stable Diffusion 3 and 3.5 in diffusers' names.
  case sd3
  /// FLUX.1 in diffusers' names.
  case flux
  /// FLUX.1 in the names of its original repository and of XLabs'.
  case xLabs

  /// The prefix of a ControlNet's names beside a whole model's.
  private static let prefix = "control_model."

  /// - Throws: `unsupported` for a file of another kind.
  init(_ store: WeightStore, path: String) throws(ModelError) {
    let layout = Self.allCases.first { layout in
      layout.signs.contains { signs in signs.allSatisfy { store.weights[$0] != nil } }
    }
    guard let layout else {
      throw ModelError(
        code: .unsupported,
        message: "'\(path)' is not a ControlNet of a known layout: "
          + "\(Self.allCases.map(\.words).joined(separator: ", ")); for other layouts give the "
          + "folder, with config.json")
    }
    self = layout
  }

  /// Sets of weights, one of which a file of this layout has.
  private var signs: [[String]] {
    switch self {
    case .unet:
      [["time_embedding.linear_1.weight", "controlnet_cond_embedding.conv_in.weight"]]
    case .originalUNet:
      ["", Self.prefix].map { prefix in
        ["time_embed.0.weight", "input_hint_block.0.weight"].map { prefix + $0 }
      }
    case .sd3: [["controlnet_blocks.0.weight", "pos_embed_input.proj.weight"]]
    case .flux: [["controlnet_blocks.0.weight", "controlnet_x_embedder.weight"]]
    case .xLabs: [["controlnet_blocks.0.weight", "double_blocks.0.img_mod.lin.weight"]]
    }
  }

  /// The model and the weights that show it, for errors.
  private var words: String {
    switch self {
    case .unet: "Stable Diffusion 1, 2 or XL (controlnet_cond_embedding.*)"
    case .originalUNet: "Stable Diffusion in the original names (input_hint_block.*)"
    case .sd3: "Stable Diffusion 3 (controlnet_blocks.*, pos_embed_input.*)"
    case .flux: "FLUX.1 (controlnet_blocks.*, controlnet_x_embedder.*)"
    case .xLabs: "FLUX.1 in XLabs' names (controlnet_blocks.*, double_blocks.*)"
    }
  }

  /// Whether the names are diffusers'.
  var hasCurrentNames: Bool {
    switch self {
    case .unet, .sd3, .flux: true
    case .originalUNet, .xLabs: false
    }
  }

  /// The weights of a file in diffusers' names.
  ///
  /// - Throws: a `GraphError` for a weight that has none.
  func weights(of store: WeightStore, path: String) throws(GraphError) -> WeightStore {
    switch self {
    case .unet, .sd3, .flux:
      return store
    case .originalUNet:
      let isWhole = store.weights.keys.contains { $0.hasPrefix(Self.prefix) }
      let own =
        isWhole
        ? store.renamed { name in
          name.hasPrefix(Self.prefix) ? String(name.dropFirst(Self.prefix.count)) : nil
        } : store
      let names = ControlNetNames(own.weights.keys)
      return try own.mapped { (weight) throws(GraphError) in
        guard let name = names.current(weight.name) else {
          throw Self.unknown(weight.name, of: "Stable Diffusion", path: path)
        }
        return [weight.named(name)]
      }
    case .xLabs:
      return try store.mapped { (weight) throws(GraphError) in
        if let name = FluxControlNetNames.current(weight.name) { return [weight.named(name)] }
        let parts = try FluxNames.weights(weight, named: weight.name)
        guard !parts.isEmpty else {
          throw Self.unknown(weight.name, of: "FLUX.1", path: path)
        }
        return parts
      }
    }
  }

  private static func unknown(_ name: String, of model: String, path: String) -> GraphError {
    GraphError(
      code: .weightsInvalid,
      message:
        "'\(path)': the ControlNet has '\(name)', which no ControlNet of \(model) has; it is "
        + "of a kind that is not supported")
  }

  /// The configuration that the shapes of a file's weights show, with published values of the rest.
  ///
  /// - Parameter shapes: the shapes by diffusers' names.
  func configuration(of shapes: [String: Shape]) -> [String: ConfigurationFile.Value] {
    switch self {
    case .unet, .originalUNet: UNetControlNetConfiguration.values(of: shapes)
    case .sd3: SD3ControlNetConfiguration.values(of: shapes)
    case .flux, .xLabs: FluxControlNetConfiguration.values(of: shapes)
    }
  }
}

/// The layers of a ControlNet in XLabs' names that FLUX.1 itself does not have.
enum FluxControlNetNames {
  /// The layers of the hint in diffusers; every second one of the original's is an activation.
  private static let hint =
    ["conv_in"]
    + (0..<2 * (FluxControlNetConfiguration.Hint.channels.count - 1)).map { "blocks.\($0)" }
    + ["conv_out"]

  /// A name in diffusers; nil for a layer of FLUX.1 or an unknown one.
  static func current(_ name: String) -> String? {
    var reader = NameReader(name)
    if reader.take("controlnet_blocks") { return name }
    if reader.take("pos_embed_input") { return "controlnet_x_embedder\(reader.rest)" }
    guard reader.take("input_hint_block"), let index = reader.takeNumber(),
      index.isMultiple(of: 2), hint.indices.contains(index / 2)
    else { return nil }
    return "input_hint_block.\(hint[index / 2])\(reader.rest)"
  }
}
