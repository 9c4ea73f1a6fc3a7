internal import FlowCore
internal import FlowGraph
internal import Foundation

/// The file of an IP-Adapter: `image_proj.*`, the projection of an image to tokens, and
/// `ip_adapter.*`, the layers of keys and values in each cross-attention of a network.
struct IPAdapterFile {
  let path: String
  let projection: ImageProjection
  let weights: WeightStore
  private static let (projectionPrefix, layersPrefix) = ("image_proj.", "ip_adapter.")

  /// - Parameters:
  ///   - path: the file.
  ///   - network: the network that it must fit.
  /// - Throws: a `ModelError` for a file that is not supported or does not fit the network, a
  ///   `GraphError` for missing or unknown weights.
  init(path: String, fitting network: UNetConfiguration) throws {
    self.path = path
    var isFolder: ObjCBool = false
    guard unsafe FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
      throw ModelError(
        code: .fileMissing,
        message: "'\(path)' does not exist; give the .safetensors file of an IP-Adapter")
    }
    guard !isFolder.boolValue else {
      throw ModelError(
        code: .fileInvalid,
        message: "'\(path)' is a folder; an IP-Adapter is one of its files, such as "
          + "'ip-adapter_sd15.safetensors'")
    }
    let store = try WeightStore(file: path)
    let prefix = Self.projectionPrefix
    projection = try ImageProjection(
      store.renamed { $0.hasPrefix(prefix) ? String($0.dropFirst(prefix.count)) : nil }.shapes,
      path: path)
    let layers = network.crossAttentions
    try Self.check(store.shapes, projection, layers, network, path: path)
    let names = Set(projection.weightNames.map { prefix + $0 }).union(
      layers.indices.flatMap { index in
        ["to_k_ip", "to_v_ip"].map { "\(Self.scope(of: index)).\($0).weight" }
      })
    weights = try store.restricted(to: names, ignoring: { _ in false }, of: "IP-Adapter")
  }

  /// The prefix of an attention's weights, by its index among all cross-attentions.
  ///
  /// The files count self-attentions too, each of which precedes a cross-attention.
  static func scope(of index: Int) -> String { "\(layersPrefix)\(2 * index + 1)" }

  private static func check(
    _ shapes: [String: Shape], _ projection: ImageProjection,
    _ layers: [UNetConfiguration.CrossAttention], _ network: UNetConfiguration, path: String
  ) throws(ModelError) {
    func mismatch(_ problem: String) -> ModelError {
      ModelError(
        code: .fileInvalid, message: "'\(path)': \(problem); it is for another kind of model")
    }
    guard projection.width == network.conditioningWidth else {
      throw mismatch(
        "the IP-Adapter makes tokens \(projection.width) wide, the model's network reads "
          + "\(network.conditioningWidth) (cross_attention_dim)")
    }
    let count = shapes.count(of: String(layersPrefix.dropLast()))
    guard count == layers.count else {
      throw mismatch(
        "the IP-Adapter is for \(count) cross-attentions, the model's network has "
          + "\(layers.count)")
    }
    for (index, layer) in layers.enumerated() {
      for part in ["to_k_ip", "to_v_ip"] {
        let name = "\(scope(of: index)).\(part).weight"
        let expected: Shape = [layer.channels, projection.width]
        if let shape = shapes[name], shape != expected {
          throw mismatch("'\(name)' is \(shape), '\(layer.name)' needs \(expected)")
        }
      }
    }
  }

  /// The matching image encoder: from a folder, or from where the published repositories have it
  /// beside the file.
  ///
  /// - Throws: `fileMissing` if there is none, `fileInvalid` if none fits.
  func encoder(folder: String?, variant: String?) throws -> CLIPVision {
    let beside = URL(filePath: path).deletingLastPathComponent()
    let folders =
      folder.map { [$0] }
      ?? ["image_encoder", "../image_encoder", "../models/image_encoder"].map {
        beside.appending(path: $0).standardizedFileURL.path
      }
    var others: [String] = []
    for folder in folders where ConfigurationFile.exists("\(folder)/config.json") {
      let configuration = try CLIPVisionConfiguration(
        ConfigurationFile(path: "\(folder)/config.json"))
      let width =
        projection.readsEmbedding ? configuration.projectionWidth : configuration.width
      guard width != projection.inputWidth else {
        return try CLIPVision(folder: folder, variant: variant)
      }
      others.append("that of '\(folder)' gives \(width)")
    }
    let key = projection.readsEmbedding ? "projection_dim" : "hidden_size"
    guard others.isEmpty else {
      throw ModelError(
        code: .fileInvalid,
        message: "'\(path)' reads an image encoder \(projection.inputWidth) wide (\(key)), "
          + "\(others.joined(separator: ", ")); name the encoder that it was trained with")
    }
    throw ModelError(
      code: .fileMissing,
      message: "'\(path)' needs CLIP's image encoder \(projection.inputWidth) wide (\(key)), which "
        + "is not in \(folders.map { "'\($0)'" }.joined(separator: " or ")): a folder with "
        + "config.json and model.safetensors")
  }
}
