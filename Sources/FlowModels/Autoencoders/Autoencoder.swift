internal import FlowCore
package import FlowGraph

/// The configuration of a checkpoint's autoencoder, full or tiny.
public struct AutoencoderConfiguration: Equatable, Sendable {
  /// The kind with its configuration.
  package enum Kind: Equatable {
    /// `AutoencoderTiny`.
    case tiny(TinyAutoencoderConfiguration)
    /// `AutoencoderKL` or `AutoencoderKLFlux2`.
    case full(FullAutoencoderConfiguration)
  }

  package let kind: Kind
  /// The published tiny autoencoder, if its file or folder has that name.
  var published: PublishedAutoencoder?

  init(_ kind: Kind, published: PublishedAutoencoder? = nil) {
    self.kind = kind
    self.published = published
  }

  init(_ file: ConfigurationFile) throws(ModelError) {
    switch try file.text("_class_name") {
    case "AutoencoderTiny": kind = .tiny(try TinyAutoencoderConfiguration(file))
    case "AutoencoderKL", "AutoencoderKLFlux2":
      kind = .full(try FullAutoencoderConfiguration(file))
    default:
      throw file.unsupported(
        "_class_name",
        expected: "\"AutoencoderKL\", \"AutoencoderKLFlux2\" or \"AutoencoderTiny\"")
    }
  }

  /// Image pixels per latent pixel in each direction: 8 for Stable Diffusion and TAESD, 16 for
  /// FLUX.2 and the starter.
  public var factor: Int {
    switch kind {
    case .tiny(let configuration):
      configuration.patchSide << (configuration.decoderChannels.count - 1)
    case .full(let configuration):
      configuration.patchSide << (configuration.channels.count - 1)
    }
  }

  /// The channels of the latents.
  public var latentChannels: Int {
    switch kind {
    case .tiny(let configuration):
      configuration.latentChannels * configuration.patchSide * configuration.patchSide
    case .full(let configuration):
      configuration.latentChannels * configuration.patchSide * configuration.patchSide
    }
  }

  /// The class in diffusers.
  public var className: String {
    switch kind {
    case .tiny: "AutoencoderTiny"
    case .full(let configuration): configuration.className
    }
  }
}

/// The graphs of an autoencoder.
package struct Autoencoder {
  package let configuration: AutoencoderConfiguration
  let weights: WeightScope

  package init(configuration: AutoencoderConfiguration, weights: WeightScope) {
    self.configuration = configuration
    self.weights = weights
  }

  /// Builds the decoder: latents as the network produces them to 8-bit RGB images.
  package func decoderGraph(rows: Int, height: Int, width: Int) throws(GraphError) -> Graph {
    let graph = Graph(name: "vae_decoder_\(rows)x\(height)x\(width)")
    let latents = graph.input(
      "latents", shape: [rows, configuration.latentChannels, height, width])
    let decoded =
      switch configuration.kind {
      case .tiny(let configuration):
        try TinyAutoencoder(configuration: configuration, weights: weights).decode(latents)
      case .full(let configuration):
        try FullAutoencoder(configuration: configuration, weights: weights).decode(latents)
      }
    let factor = configuration.factor
    try decoded.expect([rows, 3, height * factor, width * factor], of: "the decoder")
    try Self.output(decoded, of: graph)
    return graph
  }

  /// Adds a decoded image, in the range of about 0 to 1, as an 8-bit RGB output, halved in size
  /// by area if requested.
  static func output(
    _ decoded: Value, isHalved: Bool = false, of graph: Graph
  ) throws(GraphError) {
    let image = decoded.clamped(to: 0...1)
    let pixels = try ((isHalved ? image.averagePooled() : image) * 255).rounded().transposed([
      0, 2, 3, 1,
    ]).cast(to: .uint8)
    graph.output(pixels, as: "pixels")
    // NaN would become black in 8 bits; the sum of each row reveals it.
    graph.output(try decoded.rowSums(), as: "sums")
  }

  /// Builds the encoder: 8-bit RGB images to latents of the given height and width.
  ///
  /// A full autoencoder outputs the mean as `latents`, and the standard deviation as `deviation`.
  ///
  /// - Parameter isMasked: whether another input, `keep`, 1 or 0 for each pixel, replaces pixels by
  ///   the middle of the range: the masked image of inpainting networks.
  package func encoderGraph(
    rows: Int, height: Int, width: Int, isMasked: Bool = false
  ) throws(GraphError) -> Graph {
    let graph = Graph(name: "vae_encoder_\(rows)x\(height)x\(width)\(isMasked ? "_masked" : "")")
    let factor = configuration.factor
    let pixels = graph.input(
      "pixels", shape: [rows, height * factor, width * factor, 3], type: .uint8)
    var picture = try pixels.cast(to: .float32).transposed([0, 3, 1, 2]) * (1 / 255)
    if isMasked {
      let keep = graph.input(
        "keep", shape: [rows, 1, height * factor, width * factor], type: .uint8)
      picture = try (picture + -0.5) * keep.cast(to: .float32) + 0.5
    }
    switch configuration.kind {
    case .tiny(let configuration):
      let autoencoder = TinyAutoencoder(configuration: configuration, weights: weights)
      graph.output(try autoencoder.encode(picture), as: "latents")
    case .full(let configuration):
      let (mean, deviation) = try FullAutoencoder(configuration: configuration, weights: weights)
        .encode(picture)
      graph.output(mean, as: "latents")
      graph.output(deviation, as: "deviation")
    }
    return graph
  }
}

extension AutoencoderConfiguration {
  /// What encoding subtracts from latents, in their scale.
  package var scaledShift: Float {
    switch kind {
    case .tiny(let configuration): configuration.shiftFactor * configuration.scalingFactor
    case .full(let configuration): configuration.shiftFactor * configuration.scalingFactor
    }
  }
}
