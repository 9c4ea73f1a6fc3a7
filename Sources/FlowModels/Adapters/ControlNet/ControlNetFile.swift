internal import FlowGraph
internal import Foundation

/// The content of a ControlNet's folder or file: its configuration and weights, in diffusers'
/// names.
struct ControlNetFile {
  let configuration: ConfigurationFile
  let weights: WeightStore

  private static let prefix = "control_model."

  init(_ configuration: ConfigurationFile, _ weights: WeightStore) {
    self.configuration = configuration
    self.weights = weights
  }

  /// - Parameters:
  ///   - path: the folder or file.
  ///   - variant: the variant in the weights' file names of a folder.
  init(path: String, variant: String?) throws {
    var isFolder: ObjCBool = false
    guard unsafe FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
      throw ModelError(
        code: .fileMissing,
        message:
          "'\(path)' does not exist; give the folder or the .safetensors file of a ControlNet")
    }
    if isFolder.boolValue {
      configuration = try ConfigurationFile(path: "\(path)/config.json")
      weights = try WeightStore(
        folder: path, stem: "diffusion_pytorch_model", variant: variant)
      return
    }
    let store = try WeightStore(file: path)
    if store.weights["time_embedding.linear_1.weight"] != nil
      || store.weights["time_text_embed.timestep_embedder.linear_1.weight"] != nil
    {
      weights = store
      let beside = URL(filePath: path).deletingLastPathComponent().path + "/config.json"
      if ConfigurationFile.exists(beside) {
        let file = try ConfigurationFile(path: beside)
        // The configuration of a whole model, or of something else, does not describe this file.
        if try file.text("_class_name")?.contains("ControlNet") == true {
          configuration = file
          return
        }
      }
    } else {
      weights = try Self.original(store, path: path)
    }
    guard weights.weights["controlnet_cond_embedding.conv_in.weight"] != nil else {
      throw ModelError(
        code: .unsupported,
        message: "'\(path)' is not a ControlNet of Stable Diffusion 1, 2 or XL "
          + "(controlnet_cond_embedding.*, or input_hint_block.* in the original names); for other "
          + "models give the folder, with config.json")
    }
    configuration = ConfigurationFile(
      path: path, values: UNetControlNetConfiguration.values(of: weights.shapes))
  }

  /// The weights of a file in the original names, which may contain a whole model.
  private static func original(_ store: WeightStore, path: String) throws -> WeightStore {
    let isWhole = store.weights.keys.contains { $0.hasPrefix(prefix) }
    let own =
      isWhole
      ? store.renamed { $0.hasPrefix(prefix) ? String($0.dropFirst(prefix.count)) : nil } : store
    guard own.weights["time_embed.0.weight"] != nil else {
      throw ModelError(
        code: .unsupported,
        message: "'\(path)' is not a ControlNet: it has neither \(prefix)time_embed.0.weight nor "
          + "time_embed.0.weight (the original names), nor time_embedding.linear_1.weight "
          + "(diffusers')")
    }
    let names = ControlNetNames(own.weights.keys)
    return try own.mapped { (weight) throws(GraphError) in
      guard let name = names.current(weight.name) else {
        throw GraphError(
          code: .weightsInvalid,
          message:
            "'\(path)': the ControlNet has '\(weight.name)', which no ControlNet of Stable "
            + "Diffusion has; it is of a kind that is not supported")
      }
      return [weight.named(name)]
    }
  }
}

/// The layers' names of a ControlNet in the original repository, mapped to diffusers' names.
struct ControlNetNames {
  private let layersPerBlock: Int
  private let lastHint: Int

  /// - Parameter names: all names of a ControlNet.
  init(_ names: some Sequence<String>) {
    // The first level ends where the resolution is halved.
    var (shrinking, blocks, hints): ([Int], [Int], [Int]) = ([], [], [])
    for name in names {
      if let block = SingleFile.number(in: name, after: "input_blocks.") {
        blocks.append(block)
        if name == "input_blocks.\(block).0.op.weight" { shrinking.append(block) }
      }
      if let hint = SingleFile.number(in: name, after: "input_hint_block.") { hints.append(hint) }
    }
    layersPerBlock = shrinking.min().map { $0 - 1 } ?? blocks.max() ?? 0
    lastHint = hints.max() ?? 0
  }

  /// A name in diffusers; nil if a ControlNet has no such layer.
  func current(_ name: String) -> String? {
    var reader = NameReader(name)
    if reader.take("zero_convs") {
      guard let index = reader.takeNumber(), reader.take("0") else { return nil }
      return "controlnet_down_blocks.\(index)\(reader.rest)"
    }
    if reader.take("middle_block_out.0") { return "controlnet_mid_block\(reader.rest)" }
    if reader.take("input_hint_block") {
      guard let index = reader.takeNumber(), index.isMultiple(of: 2) else { return nil }
      let layer =
        index == 0 ? "conv_in" : index == lastHint ? "conv_out" : "blocks.\(index / 2 - 1)"
      return "controlnet_cond_embedding.\(layer)\(reader.rest)"
    }
    guard layersPerBlock > 0, !name.hasPrefix("output_blocks"), !name.hasPrefix("out.") else {
      return nil
    }
    return OriginalNames.unet(name, layersPerBlock: layersPerBlock)
  }
}
