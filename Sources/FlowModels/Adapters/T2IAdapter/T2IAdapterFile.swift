internal import FlowCore
internal import FlowGraph
internal import Foundation

/// The files of a T2I-Adapter: a folder in diffusers' layout, or one file in diffusers' names or in
/// those of the original repository (TencentARC).
struct T2IAdapterFile {
  let path: String
  let configuration: T2IAdapterConfiguration
  let weights: WeightStore

  /// - Parameters:
  ///   - path: the folder or file.
  ///   - variant: the variant in the file's name in a folder, such as `fp16`.
  /// - Throws: a `ModelError` for a file that is not a T2I-Adapter or is not supported, a
  ///   `GraphError` for missing or unknown weights.
  init(path: String, variant: String?) throws {
    self.path = path
    var isFolder: ObjCBool = false
    guard unsafe FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
      throw ModelError(
        code: .fileMissing,
        message:
          "'\(path)' does not exist; give the folder or the .safetensors file of a T2I-Adapter")
    }
    let named: WeightStore
    var written: ConfigurationFile?
    if isFolder.boolValue {
      written = try ConfigurationFile(path: "\(path)/config.json")
      named = try WeightStore(
        folder: path, stem: "diffusion_pytorch_model", variant: variant)
    } else {
      named = try WeightStore(file: path)
      let beside = URL(filePath: path).deletingLastPathComponent().appending(path: "config.json")
      // A file in diffusers' names belongs to a folder with its configuration.
      if named.weights.keys.contains(where: { $0.hasPrefix("adapter.") }),
        ConfigurationFile.exists(beside.path)
      {
        let file = try ConfigurationFile(path: beside.path)
        // The configuration of a whole model, or of something else, does not describe this file.
        if try file.text("_class_name") == "T2IAdapter" { written = file }
      }
    }
    let store = Self.currentNames(named.withoutPrefix("adapter."))
    let file =
      try written
      ?? ConfigurationFile(path: path, values: Self.values(of: store.shapes, path: path))
    configuration = try T2IAdapterConfiguration(file)
    weights = try store.restricted(
      to: configuration.weightNames, ignoring: { _ in false }, of: "T2I-Adapter")
  }

  /// The names in diffusers, for a file in those or the original repository's names.
  ///
  /// The original files number the blocks of a full adapter consecutively, the first of a stage
  /// with `in_conv`; those of a light one are `body.<stage>.body.<block>`.
  private static func currentNames(_ store: WeightStore) -> WeightStore {
    let isCurrent = store.weights.keys.contains { $0.contains(".resnets.") }
    guard !isCurrent else { return store }
    let isLight = store.weights["conv_in.weight"] == nil
    let blockCount = isLight ? 0 : originalBlockCount(store.shapes)
    return store.renamed { name in
      let parts = name.split(separator: ".").map(String.init)
      guard parts.count >= 4, parts[0] == "body", let number = Int(parts[1]) else { return name }
      if isLight {
        guard parts.count == 6, parts[2] == "body" else { return name }
        return "body.\(number).resnets.\(parts[3]).\(parts[4]).\(parts[5])"
      }
      let stage = "body.\(number / blockCount)"
      return parts[2] == "in_conv"
        ? "\(stage).in_conv.\(parts[3])"
        : "\(stage).resnets.\(number % blockCount).\(parts[2]).\(parts[3])"
    }
  }

  /// The number of blocks of each stage of an original file, which has four stages.
  private static func originalBlockCount(_ shapes: [String: Shape]) -> Int {
    max(shapes.count(of: "body") / originalStageCount, 1)
  }

  /// The number of stages of all adapters of the original repository.
  private static let originalStageCount = 4

  /// The `config.json` values that follow from the tensors of a file.
  private static func values(
    of shapes: [String: Shape], path: String
  ) throws(ModelError) -> [String: ConfigurationFile.Value] {
    let isLight = shapes["conv_in.weight"] == nil
    let stageCount = shapes.count(of: "body")
    let first = isLight ? "body.0.in_conv.weight" : "conv_in.weight"
    let inputs = shapes.extent(first, 1)
    let output = isLight ? "out_conv.weight" : "resnets.0.block2.weight"
    let channels = (0..<stageCount).compactMap { shapes.extent("body.\($0).\(output)", 0) }
    guard let inputs, stageCount > 0, channels.count == stageCount else {
      let example = shapes.keys.min().map { ", such as '\($0)'" } ?? ""
      throw ModelError(
        code: .unsupported,
        message: "'\(path)' contains no T2I-Adapter (\(shapes.count) tensors\(example)); expected "
          + "'body.0.block1.weight' and 'conv_in.weight', or 'body.0.in_conv.weight', as the "
          + "original repository or diffusers names them")
    }
    // 8 x 8 or 16 x 16 pixels of one or of three channels.
    let known: [Int: (channels: Int, factor: Int)] = [
      64: (1, 8), 192: (3, 8), 256: (1, 16), 768: (3, 16),
    ]
    guard let input = known[inputs] else {
      throw ModelError(
        code: .unsupported,
        message: "'\(path)': '\(first)' reads \(inputs) channels; expected 64 or 192 (8 x 8 pixels "
          + "of 1 or 3 channels), or 256 or 768 (16 x 16, for Stable Diffusion XL)")
    }
    let kind: T2IAdapterConfiguration.Kind = isLight ? .light : input.factor == 16 ? .fullXL : .full
    return [
      "adapter_type": .text(kind.rawValue), "in_channels": .integer(input.channels),
      "channels": .list((isLight ? channels.dropLast() : channels[...]).map { .integer($0) }),
      "num_res_blocks": .integer(shapes.count(of: "body.0.resnets")),
      "downscale_factor": .integer(input.factor),
    ]
  }
}
