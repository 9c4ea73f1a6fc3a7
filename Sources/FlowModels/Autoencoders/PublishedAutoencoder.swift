internal import FlowCore
internal import FlowGraph
internal import Foundation

/// The tiny autoencoders of one author (github.com/madebyollin/taesd), by the names of their files.
///
/// They look alike; what tells which latents one is for is its name.
package enum PublishedAutoencoder: String, CaseIterable, Sendable {
  case taesd
  case taesdxl
  case taesd3
  case taef1

  /// The models that it goes with.
  var family: String {
    switch self {
    case .taesd: "Stable Diffusion 1 and 2"
    case .taesdxl: "Stable Diffusion XL"
    case .taesd3: "Stable Diffusion 3"
    case .taef1: "FLUX.1 and Z-Image"
    }
  }

  /// What the full autoencoders of these models multiply latents by, and what they subtract before.
  var fullScale: (scalingFactor: Double, shiftFactor: Double) {
    switch self {
    case .taesd: (0.18215, 0)
    case .taesdxl: (0.13025, 0)
    case .taesd3: (1.5305, 0.0609)
    case .taef1: (0.3611, 0.1159)
    }
  }

  /// All of them with what they go with, for error messages.
  static var pairs: String {
    allCases.map { "\($0.rawValue) with \($0.family)" }.joined(separator: ", ")
  }

  /// The one that a folder is called after.
  init?(folder: String) {
    self.init(rawValue: URL(filePath: folder).standardizedFileURL.lastPathComponent)
  }

  /// The files of the author in a folder: decoders, each perhaps with an encoder beside it.
  static func decoders(in folder: String) -> [String] {
    allCases.map { "\(folder)/\($0.rawValue)_decoder.safetensors" }
      .filter(ConfigurationFile.exists)
  }

  /// Opens a decoder's file and the encoder's, if there is one.
  static func parts(
    decoder file: String, encoder: String?, published: PublishedAutoencoder?
  ) throws -> AutoencoderParts {
    let decoder = try WeightStore(file: file)
    let first = try decoder.root[1].shape(of: "weight")
    guard first.rank == 4, [4, 16].contains(first[1]) else {
      throw ModelError(
        code: .fileInvalid,
        message: "'\(file)': 1.weight is \(first); the first convolution of a decoder of this "
          + "kind reads 4 or 16 channels ([64, 4, 3, 3] or [64, 16, 3, 3])")
    }
    let weights = try WeightStore.taesd(
      encoder: encoder.map { try WeightStore(file: $0) }, decoder: decoder)
    let configuration = AutoencoderConfiguration(
      .tiny(.taesd(latentChannels: first[1])), published: published)
    return AutoencoderParts(configuration: configuration, weights: weights)
  }
}

extension Checkpoint {
  /// Checks that the autoencoder speaks of the latents that the network makes.
  func checkPairing() throws(ModelError) {
    func unfitting(_ problem: String) -> ModelError {
      ModelError(
        code: .unsupported,
        message: "\(problem); choose another autoencoder (\(PublishedAutoencoder.pairs))",
        settings: [.autoencoder])
    }
    let latents = family.latentSpace
    guard autoencoder.latentChannels == latents.channels else {
      throw unfitting(
        "the autoencoder has \(autoencoder.latentChannels) latent channels, the network "
          + "\(latents.channels); they are not of one family")
    }
    guard let fitting = latents.published else { return }
    if let published = autoencoder.published, published != fitting {
      throw unfitting(
        "the autoencoder '\(published.rawValue)' goes with \(published.family), and this network "
          + "is of \(fitting.family), which '\(fitting.rawValue)' goes with")
    }
    if case .full(let configuration) = autoencoder.kind,
      let other = PublishedAutoencoder.allCases.first(where: {
        Float($0.fullScale.scalingFactor) == configuration.scalingFactor
      }), other != fitting
    {
      throw unfitting(
        "an AutoencoderKL with scaling_factor \(configuration.scalingFactor) goes with "
          + "\(other.family), and this network is of \(fitting.family)")
    }
  }
}
