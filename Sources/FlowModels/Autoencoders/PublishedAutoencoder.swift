internal import FlowCore
internal import FlowGraph
internal import Foundation

/// The published tiny autoencoders (github.com/madebyollin/taesd), by file name.
///
/// Those of 4 and 16 channels have the same structure; only the name tells for which latents one was
/// trained.
package enum PublishedAutoencoder: String, CaseIterable, Sendable {
  case taesd
  case taesdxl
  case taesd3
  case taef1
  case taef2

  /// The compatible models.
  var family: String {
    switch self {
    case .taesd: "Stable Diffusion 1 and 2"
    case .taesdxl: "Stable Diffusion XL and DreamLite"
    case .taesd3: "Stable Diffusion 3"
    case .taef1: "FLUX.1 and Z-Image"
    case .taef2: "FLUX.2"
    }
  }

  /// The scaling factor and the shift of the corresponding full autoencoders; nil if they normalize
  /// latents with statistics in their files instead.
  var fullScale: (scalingFactor: Double, shiftFactor: Double)? {
    switch self {
    case .taesd: (0.18215, 0)
    case .taesdxl: (0.13025, 0)
    case .taesd3: (1.5305, 0.0609)
    case .taef1: (0.3611, 0.1159)
    case .taef2: nil
    }
  }

  /// All of them with their compatible models, for error messages.
  static var pairs: String {
    allCases.map { "\($0.rawValue) with \($0.family)" }.joined(separator: ", ")
  }

  /// The one with the name of a folder.
  init?(folder: String) {
    self.init(rawValue: URL(filePath: folder).standardizedFileURL.lastPathComponent)
  }

  /// The author's decoder files in a folder, each optionally accompanied by an encoder.
  static func decoders(in folder: String) -> [String] {
    allCases.map { "\(folder)/\($0.rawValue)_decoder.safetensors" }
      .filter(ConfigurationFile.exists)
  }

  /// Opens a decoder's file and, if it exists, the encoder's.
  static func parts(
    decoder file: String, encoder: String?, published: PublishedAutoencoder?
  ) throws -> AutoencoderParts {
    let decoder = try WeightStore(file: file)
    let first = try decoder.root[1].shape(of: "weight")
    guard first.rank == 4, [4, 16, 32].contains(first[1]) else {
      throw ModelError(
        code: .fileInvalid,
        message: "'\(file)': 1.weight is \(first); the first convolution of a decoder of this "
          + "kind reads 4, 16 or 32 channels ([64, 4, 3, 3], [64, 16, 3, 3] or [64, 32, 3, 3])")
    }
    // Sana's has 32 channels too, and other levels.
    guard first[1] != 32 || decoder.root[3].has("pool.0.weight") else {
      throw ModelError(
        code: .unsupported,
        message: "'\(file)' has 32 latent channels and is not taef2, the tiny autoencoder of "
          + "\(PublishedAutoencoder.taef2.family), whose blocks normalize (3.pool.0.weight); "
          + "expected \(pairs)")
    }
    let weights = try WeightStore.taesd(
      encoder: encoder.map { try WeightStore(file: $0) }, decoder: decoder)
    let configuration = AutoencoderConfiguration(
      .tiny(.taesd(latentChannels: first[1], width: first[0])), published: published)
    return AutoencoderParts(configuration: configuration, weights: weights)
  }
}

extension Checkpoint {
  /// Checks that the autoencoder matches the network's latents.
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
          + "\(latents.channels); they are of different families")
    }
    guard let fitting = latents.published else { return }
    if let published = autoencoder.published, published != fitting {
      throw unfitting(
        "the autoencoder '\(published.rawValue)' is for \(published.family), and this network "
          + "is of \(fitting.family); use '\(fitting.rawValue)'")
    }
    if case .full(let configuration) = autoencoder.kind,
      let other = PublishedAutoencoder.allCases.first(where: {
        $0.fullScale.map { Float($0.scalingFactor) } == configuration.scalingFactor
      }), other != fitting
    {
      throw unfitting(
        "an AutoencoderKL with scaling_factor \(configuration.scalingFactor) is for "
          + "\(other.family), and this network is of \(fitting.family)")
    }
  }
}
