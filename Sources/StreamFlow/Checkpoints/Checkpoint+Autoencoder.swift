internal import FlowCore
internal import FlowGraph
internal import Foundation

/// Which autoencoder goes with a model.
public enum AutoencoderChoice: Equatable, Sendable {
  /// The model's own, in `vae/`.
  case automatic
  /// The model's own, which must be an `AutoencoderKL`.
  case full
  /// The tiny one beside it, in `vae_tiny/` or `vae/`.
  case tiny
  /// Another's place: a folder of diffusers, a folder with `taesd_decoder.safetensors` and, if
  /// pictures are to go in, `taesd_encoder.safetensors` (so too of taesdxl, taesd3 and taef1), or
  /// such a decoder's file.
  case path(String)
}

extension Checkpoint {
  typealias AutoencoderParts = (configuration: AutoencoderConfiguration, weights: WeightStore)

  static func autoencoder(
    folder: String, choice: AutoencoderChoice, variant: String?
  ) throws -> AutoencoderParts {
    switch choice {
    case .automatic: return try autoencoder(in: "\(folder)/vae", variant: variant)
    case .full:
      let (configuration, weights) = try autoencoder(in: "\(folder)/vae", variant: variant)
      guard case .full = configuration.kind else {
        throw ModelError(
          code: .unsupported,
          message: "'\(folder)/vae' is of \(configuration.className); it has no full autoencoder")
      }
      return (configuration, weights)
    case .tiny:
      for name in ["vae_tiny", "vae"] {
        let place = "\(folder)/\(name)"
        guard ConfigurationFile.exists("\(place)/config.json") else { continue }
        let (configuration, weights) = try autoencoder(in: place, variant: variant)
        if case .tiny = configuration.kind { return (configuration, weights) }
      }
      throw ModelError(
        code: .fileMissing,
        message: "'\(folder)' has no tiny autoencoder in vae_tiny/; give one's folder with --vae")
    case .path(let place): return try autoencoder(at: place)
    }
  }

  private static func autoencoder(at place: String) throws -> AutoencoderParts {
    let kinds =
      "a folder in diffusers' layout (config.json), or a folder or file of "
      + PublishedAutoencoder.allCases.map { "\($0.rawValue)_decoder.safetensors" }
      .joined(separator: ", ")
    func invalid(_ code: ModelError.Code, _ problem: String) -> ModelError {
      ModelError(code: code, message: "'\(place)' \(problem); --vae takes \(kinds)")
    }
    var isFolder: ObjCBool = false
    guard unsafe FileManager.default.fileExists(atPath: place, isDirectory: &isFolder) else {
      throw invalid(.fileMissing, "does not exist")
    }
    guard isFolder.boolValue else {
      guard let published = PublishedAutoencoder(decoder: place) else {
        throw invalid(.unsupported, "is a file of another name")
      }
      return try published.parts(decoder: place)
    }
    let decoders = PublishedAutoencoder.decoders(in: place)
    guard decoders.count <= 1 else {
      throw invalid(.unsupported, "holds \(decoders.count) decoders, name the file of one")
    }
    if let decoder = decoders.first, let published = PublishedAutoencoder(decoder: decoder) {
      return try published.parts(decoder: decoder)
    }
    guard ConfigurationFile.exists("\(place)/config.json") else {
      throw invalid(.fileMissing, "holds no autoencoder")
    }
    var parts = try autoencoder(in: place, variant: nil)
    if case .tiny = parts.configuration.kind {
      parts.configuration.published = PublishedAutoencoder(folder: place)
    }
    return parts
  }

  private static func autoencoder(
    in folder: String, variant: String?
  ) throws -> AutoencoderParts {
    let configuration = try AutoencoderConfiguration(
      ConfigurationFile(path: "\(folder)/config.json"))
    let weights = try WeightStore(
      folder: folder, stem: "diffusion_pytorch_model", variant: variant)
    return (configuration, weights.withCurrentAttentionNames())
  }
}

extension Checkpoint {
  /// Whether pictures can be started from pictures: whether the autoencoder can encode.
  public var hasEncoder: Bool {
    autoencoderWeights.weights.keys.contains { $0.hasPrefix("encoder.") }
  }
}
