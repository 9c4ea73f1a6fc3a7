internal import FlowCore
package import FlowGraph

/// What is known of a checkpoint's autoencoder, full or tiny.
public struct AutoencoderConfiguration: Equatable, Sendable {
  /// Which of the two, and what its file says.
  package enum Kind: Equatable {
    /// `AutoencoderTiny`.
    case tiny(TinyAutoencoderConfiguration)
    /// `AutoencoderKL` or `AutoencoderKLFlux2`.
    case full(FullAutoencoderConfiguration)
  }

  package let kind: Kind
  /// Which of the published tiny ones it is, where its file or folder has that name.
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

  /// Pixels a side for each latent: 8 for Stable Diffusion and for TAESD, 16 for FLUX.2.
  public var factor: Int {
    switch kind {
    case .tiny(let configuration): 1 << (configuration.decoderChannels.count - 1)
    case .full(let configuration):
      configuration.patchSide << (configuration.channels.count - 1)
    }
  }

  /// The channels of the latents.
  public var latentChannels: Int {
    switch kind {
    case .tiny(let configuration): configuration.latentChannels
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

/// An autoencoder's graphs, pixels in and pixels out.
package struct Autoencoder {
  package let configuration: AutoencoderConfiguration
  let weights: WeightScope

  package init(configuration: AutoencoderConfiguration, weights: WeightScope) {
    self.configuration = configuration
    self.weights = weights
  }

  /// Writes the decoder down: latents as the network gives them to 8-bit RGB pictures.
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

  /// Names a decoded image, about within 0 and 1, as 8-bit RGB, made smaller by area if asked.
  static func output(
    _ decoded: Value, averagedBy factor: Int = 1, of graph: Graph
  ) throws(GraphError) {
    let image = try decoded.clamped(to: 0...1).averaged(by: factor) * 255
    let pixels = try image.rounded().transposed([0, 2, 3, 1]).cast(to: .uint8)
    graph.output(pixels, as: "pixels")
    // A number that is none would be black once it is 8 bits: the sum of each row tells.
    graph.output(try decoded.rowSums(), as: "sums")
  }

  /// Writes the encoder down: 8-bit RGB pictures to latents, whose height and width are given.
  ///
  /// A full autoencoder gives the mean as `latents`, and the spread around it as `deviation`.
  package func encoderGraph(rows: Int, height: Int, width: Int) throws(GraphError) -> Graph {
    let graph = Graph(name: "vae_encoder_\(rows)x\(height)x\(width)")
    let factor = configuration.factor
    let pixels = graph.input(
      "pixels", shape: [rows, height * factor, width * factor, 3], type: .uint8)
    let picture = try pixels.cast(to: .float32).transposed([0, 3, 1, 2]) * (1 / 255)
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
