internal import FlowCore
internal import FlowEngine
internal import FlowGraph

/// Turns pictures of any size into latents of one.
final class SourceEncoder {
  private let fitter: PictureFitter
  private var session: Session
  private let shape: Shape
  private let givesDeviation: Bool

  /// - Parameters:
  ///   - width: the width of pictures in pixels.
  ///   - height: the height of pictures in pixels.
  init(
    _ checkpoint: Checkpoint, width: Int, height: Int, configuration: EngineConfiguration,
    cache: EngineCache?
  ) throws {
    fitter = PictureFitter(width: width, height: height)
    let factor = checkpoint.autoencoder.factor
    let weights = checkpoint.autoencoderWeights
    guard checkpoint.hasEncoder else {
      throw ModelError(
        code: .unsupported,
        message: "the autoencoder of \(checkpoint.name) has no encoder (a file "
          + "taesd_decoder.safetensors without taesd_encoder.safetensors beside it?), and a "
          + "picture cannot be started from; choose another with --vae")
    }
    let autoencoder = Autoencoder(configuration: checkpoint.autoencoder, weights: weights.root)
    let graph = try autoencoder.encoderGraph(
      rows: 1, height: height / factor, width: width / factor)
    let model = ONNXModel(graph, weightsIdentity: weights.identity)
    givesDeviation = model.outputs.count == 2
    session = try Session(model, configuration: configuration, cache: cache)
    shape = [checkpoint.autoencoder.latentChannels, height / factor, width / factor]
  }

  /// How its engine came to be.
  var report: EngineReport { EngineReport(session) }

  /// Whether the engine is yet to be kept in the cache.
  var isUnkept: Bool { session.isUnkept }

  /// Keeps a large engine in the cache.
  func keep() { session.keep() }

  /// The picture at this size, and its latents; a full autoencoder's are drawn with the noise, as
  /// diffusers draws them.
  func encode(
    _ image: PixelImage, fit: PictureFit, noise: inout GaussianNoise
  ) throws(EngineError) -> (picture: PixelImage, latents: Latents) {
    let picture = fitter(image, fit: fit)
    let pixels = picture.pixels
    session.write(pixels.span, input: 0)
    try session.run()
    let mean = latents(output: 0)
    guard givesDeviation else { return (picture, mean) }
    let deviation = latents(output: 1)
    return (picture, LatentDistribution(mean: mean, deviation: deviation).sample(&noise))
  }

  private func latents(output index: Int) -> Latents {
    session.read(output: index, as: Float.self) { span in
      Latents(shape: shape, scalars: span.indices.map { span[$0] })
    }
  }
}
