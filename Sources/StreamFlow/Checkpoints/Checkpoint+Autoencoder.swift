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
  /// Another's folder: one of diffusers, or `taesd_decoder.safetensors` with, if pictures are to
  /// go in, `taesd_encoder.safetensors` (so too of taesdxl, taesd3 and taef1).
  case folder(String)
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
    case .folder(let other):
      let decoder = "\(other)/taesd_decoder.safetensors"
      guard ConfigurationFile.exists(decoder) else {
        return try autoencoder(in: other, variant: nil)
      }
      let encoder = "\(other)/taesd_encoder.safetensors"
      let weights = try WeightStore.taesd(
        encoder: ConfigurationFile.exists(encoder) ? WeightStore(file: encoder) : nil,
        decoder: WeightStore(file: decoder))
      return (AutoencoderConfiguration(.tiny(.taesd)), weights)
    }
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
