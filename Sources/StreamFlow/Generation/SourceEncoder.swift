internal import FlowCore
internal import FlowEngine
internal import FlowGraph
internal import FlowModels

/// Encodes images of any size to latents of one size.
final class SourceEncoder {
  private let fitter: ImageResizer
  private let program: Program
  private let shape: Shape
  private let givesDeviation: Bool

  private init(_ checkpoint: Checkpoint, width: Int, height: Int, program: Program) {
    fitter = ImageResizer(width: width, height: height)
    let factor = checkpoint.autoencoder.factor
    self.program = program
    givesDeviation = program.outputs.contains { $0.name == "deviation" }
    shape = [checkpoint.autoencoder.latentChannels, height / factor, width / factor]
  }

  /// Makes the program of a checkpoint's encoder.
  ///
  /// - Parameters:
  ///   - width: the width of images in pixels.
  ///   - height: the height of images in pixels.
  /// - Throws: `unsupported` if the autoencoder has no encoder.
  static func make(
    _ checkpoint: Checkpoint, width: Int, height: Int, provider: EngineProvider
  ) async throws -> sending SourceEncoder {
    let factor = checkpoint.autoencoder.factor
    let weights = checkpoint.autoencoderWeights
    guard checkpoint.hasEncoder else {
      throw ModelError(
        code: .unsupported,
        message: "the autoencoder of \(checkpoint.name) has no encoder (a file "
          + "taesd_decoder.safetensors without taesd_encoder.safetensors beside it?), and a "
          + "image cannot be started from; choose another autoencoder",
        settings: [.autoencoder])
    }
    let autoencoder = Autoencoder(configuration: checkpoint.autoencoder, weights: weights.root)
    let graph = try autoencoder.encoderGraph(
      rows: 1, height: height / factor, width: width / factor)
    let module = GraphModule(graph, weightsIdentity: weights.identity)
    return SourceEncoder(
      checkpoint, width: width, height: height, program: try await provider.program(for: module))
  }

  /// The image at this size and its latents.
  ///
  /// The latents of a full autoencoder are sampled with the noise, as in diffusers.
  func encode(
    _ image: PixelImage, fit: ImageFit, noise: inout GaussianNoise
  ) throws(EngineError) -> (picture: PixelImage, latents: Latents) {
    let picture = fitter(image, fit: fit)
    let pixels = ContiguousArray(picture.pixels)
    program.write("pixels", pixels.span)
    try program.run()
    let mean = latents("latents")
    guard givesDeviation else { return (picture, mean) }
    let deviation = latents("deviation")
    return (picture, LatentDistribution(mean: mean, deviation: deviation).sample(&noise))
  }

  private func latents(_ output: PortName) -> Latents {
    Latents(shape: shape, scalars: program.floats(output))
  }
}
