internal import FlowCore
internal import FlowGraph
internal import FlowText
internal import Foundation

/// A single-file checkpoint in the names of the original repositories (LDM, sgm, OpenCLIP).
///
/// It provides its parts under diffusers' names. Nothing is converted on disk or copied.
struct SingleFile {
  /// The model family of a file.
  enum Family: String {
    case sd1 = "Stable Diffusion 1"
    case sd2 = "Stable Diffusion 2"
    case sdxl = "Stable Diffusion XL"
  }

  let path: String
  let family: Family
  private let store: WeightStore

  static let network = "model.diffusion_model."
  private static let autoencoder = "first_stage_model."
  private static let clip1 = "cond_stage_model.transformer."
  private static let openCLIP2 = "cond_stage_model.model."
  private static let clipXL = "conditioner.embedders.0.transformer."
  private static let openCLIPXL = "conditioner.embedders.1.model."

  /// Detects a file's family by its names.
  init(path: String, _ store: WeightStore) throws(ModelError) {
    func has(_ prefix: String) -> Bool { store.weights.keys.contains { $0.hasPrefix(prefix) } }
    if has(Self.clip1) {
      family = .sd1
    } else if has(Self.openCLIP2) {
      family = .sd2
    } else if has(Self.openCLIPXL), has(Self.clipXL) {
      family = .sdxl
    } else {
      throw ModelError(
        code: .unsupported,
        message: "'\(path)' has a network but no known text encoder: \(Self.clip1)* "
          + "(Stable Diffusion 1), \(Self.openCLIP2)* (2), or \(Self.clipXL)* with "
          + "\(Self.openCLIPXL)* (XL). It is pruned, or of another family; use a complete file, or "
          + "a "
          + "folder in diffusers' layout")
    }
    self.path = path
    self.store = store
  }

  /// The network.
  func unet() throws -> (UNetConfiguration, WeightStore) {
    let own = Self.network
    let numbers = store.weights.keys.compactMap {
      Self.number(in: $0, after: own + "input_blocks.")
    }
    // The first level ends at the first downsampling.
    let shrinking = numbers.filter {
      store.weights["\(own)input_blocks.\($0).0.op.weight"] != nil
    }
    let layersPerBlock = shrinking.min().map { $0 - 1 } ?? numbers.max() ?? 0
    let weights = try part(own) { (name, weight) throws(GraphError) in
      guard let name = OriginalNames.unet(name, layersPerBlock: layersPerBlock) else {
        throw GraphError(
          code: .weightsInvalid,
          message:
            "'\(path)': the network has '\(name)', which \(family.rawValue) does not have; it is "
            + "of a kind that is not supported")
      }
      return [weight.named(name)]
    }
    let values = UNetConfiguration.values(of: weights.shapes, family)
    return (try UNetConfiguration(ConfigurationFile(path: path, values: values)), weights)
  }

  /// The autoencoder.
  func autoencoder() throws -> AutoencoderParts {
    try AutoencoderFile.original(
      store, path: path, prefix: Self.autoencoder, latents: family == .sdxl ? .taesdxl : .taesd)
  }

  /// The text encoders.
  func textEncoders(
    _ state: CLIPText.HiddenState
  ) throws -> [(encoding: CLIPTextEncoding, weights: WeightStore)] {
    func encoder(
      _ name: String, _ weights: WeightStore, _ activation: String, padding: String?
    ) throws -> (encoding: CLIPTextEncoding, weights: WeightStore) {
      let values = CLIPTextConfiguration.values(of: weights.shapes, activation: activation)
      let encoding = CLIPTextEncoding(
        name: name,
        configuration: try CLIPTextConfiguration(
          ConfigurationFile(path: path, values: values), weights: weights),
        tokenizer: try CLIPTokenizer(folder: PackageFolder.path("clip"), padding: padding),
        state: state)
      return (encoding, weights)
    }
    return switch family {
    case .sd1: [try encoder("text_encoder", clip(Self.clip1), "quick_gelu", padding: nil)]
    case .sd2: [try encoder("text_encoder", openCLIP(Self.openCLIP2), "gelu", padding: "!")]
    case .sdxl:
      [
        try encoder("text_encoder", clip(Self.clipXL), "quick_gelu", padding: nil),
        try encoder("text_encoder_2", openCLIP(Self.openCLIPXL), "gelu", padding: "!"),
      ]
    }
  }

  /// A text encoder in transformers' names.
  private func clip(_ prefix: String) throws(GraphError) -> WeightStore {
    try part(prefix) { (name, weight) throws(GraphError) in
      !weight.isInteger && !name.hasSuffix("position_ids")
        ? [weight.named(name)] : []
    }
    .withoutTextModelPrefix()
  }

  /// A text encoder in OpenCLIP's names, where a layer's queries, keys and values are one tensor.
  private func openCLIP(_ prefix: String) throws(GraphError) -> WeightStore {
    let layers = store.weights.keys.compactMap {
      Self.number(in: $0, after: prefix + "transformer.resblocks.")
    }
    // Stable Diffusion 2 was trained on the output before the last layer, which is never run.
    let unread = family == .sd2 ? layers.max().map { "encoder.layers.\($0)." } : nil
    return try part(prefix) { (name, weight) throws(GraphError) in
      guard let name = OriginalNames.openCLIP(name) else { return [] }
      if let unread, name.hasPrefix(unread) { return [] }
      if name == CLIPTextConfiguration.projection {
        return family == .sd2 ? [] : [try weight.transposed().named(name)]
      }
      for parameter in ["weight", "bias"] {
        let joined = ".in_proj_\(parameter)"
        guard name.hasSuffix(joined), weight.shape.rank > 0 else { continue }
        let count = weight.shape[0] / 3
        return try ["q", "k", "v"].enumerated().map { (index, letter) throws(GraphError) in
          try weight.rows(index * count..<(index + 1) * count)
            .named("\(name.dropLast(joined.count)).\(letter)_proj.\(parameter)")
        }
      }
      return [weight.named(name)]
    }
  }

  /// The weights with a prefix, under the names used here.
  private func part(
    _ prefix: String, _ read: (String, Weight) throws(GraphError) -> [Weight]
  ) throws(GraphError) -> WeightStore {
    try store.mapped { (weight) throws(GraphError) in
      guard weight.name.hasPrefix(prefix) else { return [] }
      return try read(String(weight.name.dropFirst(prefix.count)), weight)
    }
  }

  /// The number of a layer, if it is a plausible one.
  static func number(in name: String, after prefix: String) -> Int? {
    guard name.hasPrefix(prefix),
      let number = Int(name.dropFirst(prefix.count).prefix { $0 != "." })
    else { return nil }
    return (0..<1000).contains(number) ? number : nil
  }
}
