internal import FlowGraph
internal import Foundation

/// The content of a ControlNet's folder or file: its configuration and weights, in diffusers'
/// names.
struct ControlNetFile {
  let configuration: ConfigurationFile
  let weights: WeightStore

  init(_ configuration: ConfigurationFile, _ weights: WeightStore) {
    self.configuration = configuration
    self.weights = weights
  }

  /// - Parameters:
  ///   - path: the folder or file.
  ///   - variant: the variant in the weights' file names of a folder.
  /// - Throws: `fileMissing`, `fileInvalid`, or `unsupported` for a file of another layout; a
  ///   `GraphError` for a weight without a name in diffusers.
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
    let layout = try ControlNetLayout(store, path: path)
    weights = try layout.weights(of: store, path: path)
    let beside = URL(filePath: path).deletingLastPathComponent().path + "/config.json"
    if layout.hasCurrentNames, ConfigurationFile.exists(beside) {
      let file = try ConfigurationFile(path: beside)
      // The configuration of a whole model, or of something else, does not describe this file.
      if try file.text("_class_name")?.contains("ControlNet") == true {
        configuration = file
        return
      }
    }
    configuration = ConfigurationFile(path: path, values: layout.configuration(of: weights.shapes))
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
