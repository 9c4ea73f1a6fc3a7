internal import FlowCore
internal import FlowEngine
internal import FlowGraph
internal import FlowModels

/// Encodes images of any size to latents of one size.
final class SourceEncoder {
  private let fitter: ImageResizer
  private let program: Program
  /// The program that leaves out a part of the image, for networks that read a masked image.
  private let masking: Program?
  /// How the network reads a masked image.
  private let layout: MaskedImageLayout?
  private let factor: Int
  /// What encoding takes away from latents, in their scale.
  private let shift: Float
  /// The shape of one image's latents.
  let shape: Shape

  private init(
    _ checkpoint: Checkpoint, width: Int, height: Int, program: Program, masking: Program?
  ) {
    fitter = ImageResizer(width: width, height: height)
    let factor = checkpoint.autoencoder.factor
    self.factor = factor
    layout = checkpoint.family.maskedImage
    self.program = program
    self.masking = masking
    shift = checkpoint.autoencoder.scaledShift
    shape = [checkpoint.autoencoder.latentChannels, height / factor, width / factor]
  }

  /// Makes the programs of a checkpoint's encoder.
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
          + "taesd_decoder.safetensors without taesd_encoder.safetensors beside it?), so images "
          + "cannot start from an image; choose another autoencoder",
        settings: [.autoencoder])
    }
    let autoencoder = Autoencoder(configuration: checkpoint.autoencoder, weights: weights.root)
    func program(isMasked: Bool) async throws -> Program {
      let graph = try autoencoder.encoderGraph(
        rows: 1, height: height / factor, width: width / factor, isMasked: isMasked)
      return try await provider.program(
        for: GraphModule(graph, weightsIdentity: weights.identity))
    }
    return SourceEncoder(
      checkpoint, width: width, height: height, program: try await program(isMasked: false),
      masking: checkpoint.family.readsMaskedImage ? try await program(isMasked: true) : nil)
  }

  /// The image at this size.
  func fitted(_ image: PixelImage, fit: ImageFit) -> PixelImage { fitter(image, fit: fit) }

  /// The image at this size and its latents.
  ///
  /// The latents of a full autoencoder are sampled with the noise, as in diffusers.
  func encode(
    _ image: PixelImage, fit: ImageFit, noise: inout GaussianNoise
  ) throws(EngineError) -> (image: PixelImage, latents: Latents) {
    let image = fitter(image, fit: fit)
    let pixels = ContiguousArray(image.pixels)
    program.write("pixels", pixels.span)
    try program.run()
    return (image, drawn(from: program, &noise))
  }

  /// The mean of an image's latents, as adapters of latents read it.
  ///
  /// - Parameters:
  ///   - image: the image at this size.
  ///   - isShifted: whether the autoencoder's shift is taken away, as the network's own latents are.
  func mean(of image: PixelImage, isShifted: Bool) throws(EngineError) -> Latents {
    let pixels = ContiguousArray(image.pixels)
    program.write("pixels", pixels.span)
    try program.run()
    let mean = latents("latents", of: program)
    guard !isShifted, shift != 0 else { return mean }
    return Latents(shape: mean.shape, scalars: mean.scalars.map { $0 + shift })
  }

  /// What networks read of a masked image (``MaskedImageLayout``): the mask, and the latents of the
  /// image without what is repainted.
  ///
  /// - Parameters:
  ///   - image: the image at this size; nil for none, of which all is repainted.
  ///   - mask: where it is repainted, at this size; nil for everywhere.
  ///   - cells: the mask on the grid of latents.
  ///   - noise: what latents of a full autoencoder are drawn with.
  /// - Precondition: the checkpoint's network reads a masked image.
  func maskedImage(
    _ image: PixelImage?, mask: ImageMask?, cells: Latents?, noise: inout GaussianNoise
  ) throws(EngineError) -> [Float] {
    guard let masking else { preconditionFailure("the network reads no masked image") }
    masking.withInput("pixels", as: UInt8.self) { target in
      for index in target.indices { target[index] = image?.pixels[index] ?? 0 }
    }
    masking.withInput("keep", as: UInt8.self) { target in
      for index in target.indices {
        target[index] = mask.map { $0.coverage[index] < 128 ? 1 : 0 } ?? 0
      }
    }
    try masking.run()
    let latents = drawn(from: masking, &noise).scalars
    guard layout == .pixels else {
      let count = shape.elementCount / shape[0]
      return (cells?.scalars ?? [Float](repeating: 1, count: count)) + latents
    }
    return latents + pixels(of: mask)
  }

  /// The mask as `factor * factor` channels of latent pixels, 1 where the image is repainted.
  private func pixels(of mask: ImageMask?) -> [Float] {
    let (height, width) = (shape[1], shape[2])
    guard let mask else {
      return [Float](repeating: 1, count: factor * factor * height * width)
    }
    var channels: [Float] = []
    channels.reserveCapacity(factor * factor * height * width)
    for offset in 0..<factor * factor {
      for row in 0..<height {
        let start = (row * factor + offset / factor) * mask.width + offset % factor
        for column in 0..<width {
          channels.append(mask.coverage[start + column * factor] < 128 ? 0 : 1)
        }
      }
    }
    return channels
  }

  private func drawn(from program: Program, _ noise: inout GaussianNoise) -> Latents {
    let mean = latents("latents", of: program)
    guard program.outputs.contains(where: { $0.name == "deviation" }) else { return mean }
    let deviation = latents("deviation", of: program)
    return LatentDistribution(mean: mean, deviation: deviation).sample(&noise)
  }

  private func latents(_ output: PortName, of program: Program) -> Latents {
    Latents(shape: shape, scalars: program.floats(output))
  }
}
