internal import FlowCore
package import FlowGraph
internal import Foundation

/// Opens ControlNets: networks that read a control image and add residuals to the outputs of a
/// model's blocks (Zhang et al., 2023, arXiv:2302.05543).
///
/// A ControlNet reads the sample, the timestep and the text, so it runs at every tick. The part
/// that depends on the control image alone is its image graph. Several ControlNets on one network
/// add up.
package enum ControlNet {
  /// Options of a ControlNet.
  package struct Options: Equatable, Sendable {
    /// Whether only the conditional prediction is controlled, with a smaller scale for shallower
    /// layers (guess mode, for prompts that say little or nothing).
    package var guesses: Bool
    /// The kind of control image, for a union of several ControlNets.
    package var mode: Int?
    /// The variant in its weights' file names, such as `fp16`.
    package var variant: String?

    /// How engines hold the matrices of its fully connected layers; nil for floats.
    package var compression: WeightCompression?

    package init(
      guesses: Bool = false, mode: Int? = nil, variant: String? = nil,
      compression: WeightCompression? = nil
    ) {
      self.guesses = guesses
      self.mode = mode
      self.variant = variant
      self.compression = compression
    }
  }

  /// Opens a folder in diffusers' layout (`config.json`, `diffusion_pytorch_model.safetensors`), or
  /// a file of a known layout (``ControlNetLayout``).
  ///
  /// The configuration of a file in diffusers' names is the `config.json` beside it; without one,
  /// and for other names, the shapes of the weights show it.
  ///
  /// - Parameters:
  ///   - path: the folder or file.
  ///   - name: the prefix of the names of its inputs and weights, such as `adapter0`.
  ///   - family: the model's family, whose network it must fit.
  ///   - factor: the side in pixels of a latent pixel of the model's autoencoder.
  ///   - options: the options.
  /// - Throws: a `ModelError` for a ControlNet that is not supported or does not fit the model, a
  ///   `GraphError` for missing or unknown weights.
  package static func open(
    path: String, name: String, for family: any ModelFamily, factor: Int = 8,
    options: Options = Options()
  ) throws -> any ImageAdapter {
    guard let network = Network(family) else {
      throw ModelError(
        code: .unsupported,
        message: "'\(path)': ControlNets are supported for Stable Diffusion 1, 2, XL and 3 and for "
          + "FLUX.1, not for this model")
    }
    return try open(
      ControlNetFile(path: path, variant: options.variant), fitting: network,
      ControlNetContext(path: path, name: name, factor: factor, options: options))
  }

  /// The networks that ControlNets are for.
  enum Network {
    case unet(UNetConfiguration)
    case sd3(SD3TransformerConfiguration)
    case flux(FluxTransformerConfiguration)

    init?(_ family: any ModelFamily) {
      switch family {
      case let family as StableDiffusion: self = .unet(family.unet)
      case let family as StableDiffusion3: self = .sd3(family.transformer)
      case let family as Flux: self = .flux(family.transformer)
      default: return nil
      }
    }
  }

  static func open(
    _ file: ControlNetFile, fitting network: Network, _ context: ControlNetContext
  ) throws -> any ImageAdapter {
    switch network {
    case .unet(let network): try UNetControlNet(file, fitting: network, context)
    case .sd3(let network): try SD3ControlNet(file, fitting: network, context)
    case .flux(let network): try FluxControlNet(file, fitting: network, context)
    }
  }
}

/// The path and options of a ControlNet.
struct ControlNetContext {
  let path: String
  let name: String
  let factor: Int
  let options: ControlNet.Options

  /// The weights under names that no network has, as engines are to hold them.
  func prepared(_ store: WeightStore) -> WeightStore {
    let own = store.prefixed(name)
    return options.compression.map { own.compressed(to: $0) } ?? own
  }

  /// One property that a ControlNet has in common with its model's network.
  struct Trait {
    let words: String
    let key: String
    let own: String
    let expected: String

    init(_ words: String, _ key: String, _ own: some Equatable, _ expected: some Equatable) {
      self.words = words
      self.key = key
      self.own = "\(own)"
      self.expected = "\(expected)"
    }
  }

  /// - Throws: `fileInvalid` if a property differs.
  func check(_ traits: [Trait]) throws(ModelError) {
    guard let wrong = traits.first(where: { $0.own != $0.expected }) else { return }
    throw ModelError(
      code: .fileInvalid,
      message: "'\(path)': the ControlNet's \(wrong.words) are \(wrong.own) (\(wrong.key)), the "
        + "model's \(wrong.expected); it is for another kind of model")
  }

  /// - Throws: `unsupported` for an option that only ControlNets of UNets support.
  func refuseGuessing() throws(ModelError) {
    guard options.guesses else { return }
    throw ModelError(
      code: .unsupported,
      message: "'\(path)': guess mode is for ControlNets of Stable Diffusion 1, 2 and XL; this one "
        + "is of a transformer; omit guess mode")
  }

  /// - Throws: `requestInvalid` if a mode is given to a ControlNet without modes.
  func refuseMode() throws(ModelError) {
    guard let mode = options.mode else { return }
    throw ModelError(
      code: .requestInvalid,
      message: "'\(path)': the ControlNet reads one kind of control image, and mode \(mode) was "
        + "given; omit the mode", settings: [.adapterMode])
  }
}
