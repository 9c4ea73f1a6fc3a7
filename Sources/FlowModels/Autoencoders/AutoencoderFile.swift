internal import FlowCore
internal import FlowGraph
internal import Foundation

/// A file that contains an autoencoder, detected by the names of its tensors.
struct AutoencoderFile {
  /// The naming scheme of an autoencoder's tensors.
  enum Layout: Equatable {
    /// `AutoencoderKL` in the names of the original repositories (LDM), with a prefix.
    case original(prefix: String)
    /// `AutoencoderKL` in diffusers' names.
    case full
    /// `AutoencoderTiny` in diffusers' names.
    case tiny
    /// The decoder of a tiny autoencoder with layers numbered from 1, as its author publishes it.
    case publishedDecoder
  }

  /// Descriptions of the layouts, for error messages.
  static let kinds =
    "an AutoencoderKL in the original names or in diffusers', alone or in a whole model's file, or "
    + "the decoder of a tiny autoencoder "
    + "(\(PublishedAutoencoder.allCases.map(\.rawValue).joined(separator: ", ")))"

  let path: String
  let layout: Layout
  private let store: WeightStore

  /// Maps a file.
  ///
  /// - Throws: `unsupported` if it contains no autoencoder.
  init(path: String) throws {
    store = try WeightStore(file: path)
    self.path = path
    let shapes = store.shapes
    func has(_ prefix: String) -> Bool { shapes.keys.contains { $0.hasPrefix(prefix) } }
    let prefix = ["", "first_stage_model.", "vae."].first { has("\($0)decoder.up.") }
    if let prefix {
      layout = .original(prefix: prefix)
    } else if has("decoder.up_blocks.") {
      layout = .full
    } else if shapes["decoder.layers.0.weight"]?.rank == 4 {
      layout = .tiny
    } else if shapes["1.weight"]?.rank == 4, has("3.conv.0.") {
      layout = .publishedDecoder
    } else {
      let problem: String
      if shapes["0.weight"]?.rank == 4, has("1.conv.0.") {
        problem =
          "is the encoder of a tiny autoencoder; name its decoder's file, which takes the "
          + "encoder beside it"
      } else if has("encoder."), has("quant_conv.") {
        problem = "holds the encoder of an autoencoder without its decoder"
      } else {
        let example = shapes.keys.min().map { ", such as '\($0)'" } ?? ""
        problem =
          "holds no autoencoder (\(shapes.count) tensors\(example)); expected \(Self.kinds)"
      }
      throw ModelError(code: .unsupported, message: "'\(path)' \(problem)")
    }
  }

  /// The autoencoder.
  ///
  /// - Parameter latents: the latents of the network. Families scale them differently, and the
  ///   tensors do not show how.
  func parts(latents: PublishedAutoencoder?) throws -> AutoencoderParts {
    switch layout {
    case .original(let prefix):
      return try Self.original(store, path: path, prefix: prefix, latents: latents)
    case .full:
      let weights = store.withCurrentAttentionNames()
      let values = FullAutoencoderConfiguration.values(of: weights.shapes, latents: latents)
      let isFlux2 = FullAutoencoderConfiguration.isFlux2(weights.shapes)
      let className = isFlux2 ? FullAutoencoderConfiguration.flux2 : "AutoencoderKL"
      let file =
        try configuration(of: className) ?? ConfigurationFile(path: path, values: values)
      return AutoencoderParts(
        configuration: try AutoencoderConfiguration(file), weights: weights)
    case .tiny:
      return AutoencoderParts(
        configuration: AutoencoderConfiguration(try tinyConfiguration(), published: publishedName),
        weights: store)
    case .publishedDecoder:
      return try PublishedAutoencoder.parts(
        decoder: path, encoder: encoderPath, published: publishedName)
    }
  }

  /// An autoencoder in the original names with a prefix.
  static func original(
    _ store: WeightStore, path: String, prefix: String, latents: PublishedAutoencoder?
  ) throws -> AutoencoderParts {
    let levels = store.weights.keys.compactMap {
      SingleFile.number(in: $0, after: prefix + "decoder.up.")
    }
    guard let last = levels.max(), last < 8 else {
      throw ModelError(
        code: .fileMissing,
        message:
          "'\(path)' has no autoencoder (\(prefix)*): it is pruned; choose another autoencoder")
    }
    let weights = try store.mapped { (weight) throws(GraphError) in
      guard weight.name.hasPrefix(prefix),
        // Other tensors belong to training.
        let name = OriginalNames.autoencoder(
          String(weight.name.dropFirst(prefix.count)), levelCount: last + 1)
      else { return [] }
      // Layers that are 1x1 convolutions there and linear here.
      let isLinear = name.contains(".attentions.") && weight.shape.rank > 2
      let shape = Shape(Array(weight.shape.dimensions.prefix(2)))
      return [try (isLinear ? weight.reshaped(shape) : weight).named(name)]
    }
    let values = FullAutoencoderConfiguration.values(of: weights.shapes, latents: latents)
    let file = ConfigurationFile(path: path, values: values)
    return AutoencoderParts(
      configuration: try AutoencoderConfiguration(file), weights: weights)
  }

  /// The `config.json` beside the file, if it is of a given class.
  private func configuration(of className: String) throws -> ConfigurationFile? {
    let place = URL(filePath: path).deletingLastPathComponent().appending(path: "config.json").path
    guard ConfigurationFile.exists(place) else { return nil }
    let file = try ConfigurationFile(path: place)
    return file["_class_name"] == .text(className) ? file : nil
  }

  private func tinyConfiguration() throws -> AutoencoderConfiguration.Kind {
    if let file = try configuration(of: "AutoencoderTiny") {
      return .tiny(try TinyAutoencoderConfiguration(file))
    }
    let shapes = store.shapes
    let (first, last) = (shapes["decoder.layers.0.weight"], shapes["decoder.layers.18.weight"])
    guard let first, first.rank == 4, last == [3, first[0], 3, 3],
      (first[1] == 32) == (shapes["decoder.layers.2.pool.0.weight"] != nil)
    else {
      throw ModelError(
        code: .fileMissing,
        message: "'\(path)' is a tiny autoencoder of another size than TAESD, and there is no "
          + "config.json beside it that describes it; fetch that too")
    }
    return .tiny(.taesd(latentChannels: first[1], width: first[0]))
  }

  private var fileName: String { URL(filePath: path).lastPathComponent }

  /// The published autoencoder whose name is part of the file's name.
  private var publishedName: PublishedAutoencoder? {
    PublishedAutoencoder.allCases.sorted { $0.rawValue.count > $1.rawValue.count }
      .first { fileName.lowercased().contains($0.rawValue) }
  }

  /// The encoder's file beside a decoder's, if it exists.
  private var encoderPath: String? {
    guard let word = fileName.range(of: "decoder", options: .backwards) else { return nil }
    let name = fileName.replacingCharacters(in: word, with: "encoder")
    let place = URL(filePath: path).deletingLastPathComponent().appending(path: name).path
    return ConfigurationFile.exists(place) ? place : nil
  }
}
