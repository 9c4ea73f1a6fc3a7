internal import FlowCore
internal import FlowGraph
internal import Foundation

/// The choice of a model's autoencoder.
public enum AutoencoderChoice: Equatable, Sendable {
  /// The model's own, in `vae/`.
  case automatic
  /// The model's own, which must be an `AutoencoderKL`.
  case full
  /// The tiny one beside it, in `vae_tiny/` or `vae/`.
  case tiny
  /// Another autoencoder: a diffusers folder (the autoencoder's or the whole model's), a folder
  /// with `taesd_decoder.safetensors` and, for image-to-image, `taesd_encoder.safetensors` (also of
  /// taesdxl, taesd3, taef1 and taef2), or a file, identified by its contents: an `AutoencoderKL` in
  /// the original names or in diffusers', alone or in a whole model, or the decoder of a tiny
  /// autoencoder.
  case path(String)
}

/// A loaded autoencoder.
package struct AutoencoderParts {
  var configuration: AutoencoderConfiguration
  let weights: WeightStore

  /// The chosen autoencoder of a model in a folder.
  ///
  /// - Parameters:
  ///   - folder: the model's.
  ///   - choice: the choice of the autoencoder.
  ///   - variant: the variant in the weights' file names.
  ///   - latents: the latents of the network, for a file that does not specify its scaling.
  /// - Throws: a `ModelError` if there is none.
  static func find(
    folder: String, choice: AutoencoderChoice, variant: String?,
    latents: PublishedAutoencoder? = nil
  ) throws -> AutoencoderParts {
    switch choice {
    case .automatic: return try read(in: "\(folder)/vae", variant: variant)
    case .full:
      let parts = try read(in: "\(folder)/vae", variant: variant)
      guard case .full = parts.configuration.kind else {
        throw ModelError(
          code: .unsupported,
          message:
            "'\(folder)/vae' is of \(parts.configuration.className); it has no full autoencoder")
      }
      return parts
    case .tiny:
      for name in ["vae_tiny", "vae"] {
        let place = "\(folder)/\(name)"
        guard ConfigurationFile.exists("\(place)/config.json") else { continue }
        let parts = try read(in: place, variant: variant)
        if case .tiny = parts.configuration.kind { return parts }
      }
      throw ModelError(
        code: .fileMissing,
        message: "'\(folder)' has no tiny autoencoder in vae_tiny/; name the folder of one",
        settings: [.autoencoder])
    case .path(let place): return try read(at: place, latents: latents)
    }
  }

  private static func read(at place: String, latents: PublishedAutoencoder?) throws
    -> AutoencoderParts
  {
    func invalid(_ code: ModelError.Code, _ problem: String) -> ModelError {
      ModelError(
        code: code,
        message:
          "'\(place)' \(problem); expected a folder in diffusers' layout (config.json), or a "
          + ".safetensors file: \(AutoencoderFile.kinds)")
    }
    var isFolder: ObjCBool = false
    guard unsafe FileManager.default.fileExists(atPath: place, isDirectory: &isFolder) else {
      throw invalid(.fileMissing, "does not exist")
    }
    guard isFolder.boolValue else {
      return try AutoencoderFile(path: place).parts(latents: latents)
    }
    let decoders = PublishedAutoencoder.decoders(in: place)
    guard decoders.count <= 1 else {
      throw invalid(.unsupported, "holds \(decoders.count) decoders, name the file of one")
    }
    if let decoder = decoders.first {
      return try AutoencoderFile(path: decoder).parts(latents: latents)
    }
    if ConfigurationFile.exists("\(place)/model_index.json") {
      return try read(in: "\(place)/vae", variant: nil)
    }
    guard ConfigurationFile.exists("\(place)/config.json") else {
      let files = ((try? FileManager.default.contentsOfDirectory(atPath: place)) ?? [])
        .filter { $0.hasSuffix(".safetensors") }
      guard files.count == 1 else {
        throw invalid(
          .fileMissing,
          "holds no autoencoder: no config.json and \(files.count) .safetensors files")
      }
      return try AutoencoderFile(path: "\(place)/\(files[0])").parts(latents: latents)
    }
    var parts = try read(in: place, variant: nil)
    if case .tiny = parts.configuration.kind {
      parts.configuration.published = PublishedAutoencoder(folder: place)
    }
    return parts
  }

  private static func read(
    in folder: String, variant: String?
  ) throws -> AutoencoderParts {
    let configuration = try AutoencoderConfiguration(
      ConfigurationFile(path: "\(folder)/config.json"))
    let weights = try WeightStore(
      folder: folder, stem: "diffusion_pytorch_model", variant: variant)
    return AutoencoderParts(
      configuration: configuration, weights: weights.withCurrentAttentionNames())
  }
}

extension Checkpoint {
  /// Whether image-to-image is possible: whether the autoencoder has an encoder.
  public var hasEncoder: Bool {
    autoencoderWeights.weights.keys.contains { $0.hasPrefix("encoder.") }
  }
}
