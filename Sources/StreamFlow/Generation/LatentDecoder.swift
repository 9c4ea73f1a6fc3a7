internal import FlowCore
internal import FlowEngine
internal import FlowGraph

/// Turns latents into pictures, those that are ready together in one run.
final class LatentDecoder {
  let catalogue: EngineCatalogue
  private let width: Int
  private let height: Int

  /// - Parameters:
  ///   - height: the latents' height.
  ///   - width: the latents' width.
  ///   - rowCapacity: the most pictures of a run.
  init(
    _ checkpoint: Checkpoint, height: Int, width: Int, rowCapacity: Int,
    configuration: EngineConfiguration, cache: EngineCache?
  ) {
    let autoencoder = Autoencoder(
      configuration: checkpoint.autoencoder, weights: checkpoint.autoencoderWeights.root)
    catalogue = EngineCatalogue(
      capacity: rowCapacity, weightsByteCount: checkpoint.autoencoderWeights.byteCount
    ) { rows, _ in
      let graph = try autoencoder.decoderGraph(rows: rows, height: height, width: width)
      return try Session(
        ONNXModel(graph, weightsIdentity: checkpoint.autoencoderWeights.identity),
        configuration: configuration, cache: cache)
    }
    self.width = width * checkpoint.autoencoder.factor
    self.height = height * checkpoint.autoencoder.factor
  }

  /// Decodes; a picture that came out as no number is nothing.
  func decode(_ latents: [Latents]) throws -> [PixelImage?] {
    var pictures: [PixelImage?] = []
    while pictures.count < latents.count {
      pictures += try decodeTogether(latents[pictures.count...].prefix(catalogue.capacity))
    }
    return pictures
  }

  private func decodeTogether(_ latents: ArraySlice<Latents>) throws -> [PixelImage?] {
    let engine = try catalogue.engine(for: latents.count)
    for (row, sample) in latents.enumerated() {
      let scalars = sample.scalars
      engine.session.write(scalars.span, toRow: row, of: engine.rows, input: 0)
    }
    try catalogue.run(engine, rowCount: latents.count)
    let count = 3 * width * height
    let isSound = engine.session.read(output: 1, as: Float.self) { sums in
      sums.indices.map { sums[$0].isFinite }
    }
    return engine.session.read(output: 0, as: UInt8.self) { pixels in
      (0..<latents.count).map { row in
        guard isSound[row] else { return nil }
        var bytes = [UInt8](repeating: 0, count: count)
        var target = bytes.mutableSpan
        for index in 0..<count { target[index] = pixels[row * count + index] }
        return PixelImage(width: width, height: height, pixels: bytes)
      }
    }
  }
}
