internal import FlowCore
internal import FlowGraph
internal import Foundation

/// A transformer in one file with original names, whose other components lie in the folders beside
/// it: `text_encoder`, `tokenizer`, and `vae` (or `ae.safetensors`).
struct TransformerFile {
  let path: String
  private let store: WeightStore
  /// The family's name, for errors.
  private let family: String
  private let prefix: String

  /// The prefixes of a network's names, the first of which is present.
  static func prefix(in store: WeightStore, of names: [String]) -> String? {
    ["", "model.diffusion_model."].first { prefix in
      names.allSatisfy { store.weights[prefix + $0] != nil }
    }
  }

  /// - Parameters:
  ///   - names: weights by which the family is recognized.
  ///   - family: the family's name, for errors.
  /// - Throws: `fileInvalid` if the file has no transformer of the family.
  init(
    path: String, _ store: WeightStore, names: [String], family: String
  ) throws(ModelError) {
    guard let prefix = Self.prefix(in: store, of: names) else {
      throw ModelError(code: .fileInvalid, message: "'\(path)' has no transformer of \(family)")
    }
    (self.path, self.store, self.family, self.prefix) = (path, store, family, prefix)
  }

  /// The folder of the file.
  var folder: String { URL(filePath: path).deletingLastPathComponent().path }

  /// The file's name without its extension, in lower case.
  var stem: String {
    URL(filePath: path).deletingPathExtension().lastPathComponent.lowercased()
  }

  /// The network in diffusers' names.
  ///
  /// - Parameter convert: the weights that a weight corresponds to; nil for an unknown name.
  /// - Throws: `weightsInvalid` for a weight that the family does not have.
  func network(
    _ convert: (Weight) throws(GraphError) -> [Weight]?
  ) throws(GraphError) -> WeightStore {
    let (prefix, path, family) = (prefix, path, family)
    return try store.renamed { name in
      name.hasPrefix(prefix) ? String(name.dropFirst(prefix.count)) : nil
    }.mapped { (weight) throws(GraphError) in
      guard let parts = try convert(weight) else {
        throw GraphError(
          code: .weightsInvalid,
          message:
            "'\(path)': the network has '\(weight.name)', which no \(family) has; it is of a "
            + "kind that is not supported")
      }
      return parts
    }
  }

  /// Checks that a folder with the text encoder and its tokenizer lies beside the file.
  ///
  /// - Throws: `fileMissing` if one of them does not.
  func checkTextEncoder() throws(ModelError) {
    for place in ["text_encoder/config.json", "tokenizer"]
    where !ConfigurationFile.exists("\(folder)/\(place)") {
      throw missing("text encoder", "text_encoder and tokenizer")
    }
  }

  /// The autoencoder.
  ///
  /// - Throws: `fileMissing` if none lies beside the file.
  func autoencoder(
    _ choice: AutoencoderChoice, latents: PublishedAutoencoder?
  ) throws -> AutoencoderParts {
    let file = "\(folder)/ae.safetensors"
    let isOwn = choice == .automatic || choice == .full
    guard isOwn, !ConfigurationFile.exists("\(folder)/vae/config.json") else {
      return try .find(folder: folder, choice: choice, variant: nil, latents: latents)
    }
    guard ConfigurationFile.exists(file) else {
      throw missing("autoencoder", "vae or ae.safetensors")
    }
    return try .find(folder: folder, choice: .path(file), variant: nil, latents: latents)
  }

  private func missing(_ what: String, _ places: String) -> ModelError {
    ModelError(
      code: .fileMissing,
      message: "'\(path)' has no \(what), and there is none beside it; expected \(places) in "
        + "'\(folder)', as the published repositories of \(family) have them")
  }
}
