internal import FlowCore
internal import FlowEngine
internal import FlowGraph
internal import FlowModels

/// Decodes latents to images: small images whole and in batches, large ones one after another in
/// tiles.
final class LatentDecoder {
  private enum Way {
    case whole(EngineCatalogue)
    case tiled(TiledDecoder)
  }

  private let way: Way
  /// Decodes small changes of a stream's images, if that is worth it.
  private let partial: PartialDecoder?
  /// The number of images of which only the changed tiles were decoded.
  private(set) var partialCount = 0
  private let width: Int
  private let height: Int

  /// - Parameters:
  ///   - height: the latents' height.
  ///   - width: the latents' width.
  ///   - rowCapacity: the maximum number of images of a run.
  ///   - tiling: whether to decode in tiles.
  ///   - decodesChanges: whether images are those of a stream, of which only the tiles that changed
  ///     are decoded where that is worth it.
  ///   - growth: whether engines are made on demand, or only by ``prepare(for:)``.
  init(
    _ checkpoint: Checkpoint, height: Int, width: Int, rowCapacity: Int, tiling: DecodeTiling,
    decodesChanges: Bool = false, growth: EngineCatalogue.Growth = .asNeeded,
    provider: EngineProvider
  ) {
    let weights = checkpoint.autoencoderWeights
    let autoencoder = Autoencoder(configuration: checkpoint.autoencoder, weights: weights.root)
    self.width = width * checkpoint.autoencoder.factor
    self.height = height * checkpoint.autoencoder.factor
    let side = tiling.side(checkpoint.autoencoder, width: self.width, height: self.height)
    partial =
      decodesChanges && side == nil
      ? PartialDecoder(
        autoencoder, height: height, width: width, weightsIdentity: weights.identity,
        provider: provider) : nil
    if let side {
      way = .tiled(
        TiledDecoder(
          autoencoder, height: height, width: width, side: side,
          weightsIdentity: weights.identity, provider: provider))
    } else {
      way = .whole(
        EngineCatalogue(
          capacity: rowCapacity, weightsByteCount: weights.byteCount, growth: growth,
          provider: provider
        ) { rows, _ in
          GraphModule(
            try autoencoder.decoderGraph(rows: rows, height: height, width: width),
            weightsIdentity: weights.identity)
        })
    }
  }

  /// Makes the engines for decoding a number of images.
  func prepare(
    for count: Int, isolation: isolated (any Actor)? = #isolation
  ) async throws {
    try await partial?.prepare()
    switch way {
    case .whole(let catalogue): try await catalogue.prepare(max(count, 1))
    case .tiled(let decoder): try await decoder.prepare()
    }
  }

  /// Makes a program for exactly this number of images.
  func prepareExactly(
    for count: Int, isolation: isolated (any Actor)? = #isolation
  ) async throws {
    guard case .whole(let catalogue) = way else { return }
    try await catalogue.prepareExactly(min(max(count, 1), catalogue.capacity))
  }

  /// Decodes; nil for an image with NaN or infinity.
  func decode(_ latents: [Latents]) throws -> [PixelImage?] {
    switch way {
    case .tiled(let decoder): return try latents.map(decoder.decode)
    case .whole(let catalogue):
      guard let partial else { return try decode(latents, by: catalogue) }
      var images: [PixelImage?] = []
      var waiting: [Latents] = []
      for sample in latents {
        guard partial.isWorthwhile(sample) else {
          waiting.append(sample)
          continue
        }
        images += try decode(waiting, by: catalogue)
        waiting = []
        images.append(try partial.decode(sample))
        partialCount += 1
      }
      return images + (try decode(waiting, by: catalogue))
    }
  }

  private func decode(
    _ latents: [Latents], by catalogue: EngineCatalogue
  ) throws -> [PixelImage?] {
    guard !latents.isEmpty else { return [] }
    return try catalogue.parts(for: latents.count).flatMap { part in
      try decode(latents[part.rows], with: part.engine, of: catalogue)
    }
  }

  private func decode(
    _ latents: ArraySlice<Latents>, with engine: RowEngine, of catalogue: EngineCatalogue
  ) throws -> [PixelImage?] {
    for (row, sample) in latents.enumerated() {
      let scalars = ContiguousArray(sample.scalars)
      engine.program.write("latents", row: row, scalars.span)
    }
    try catalogue.run(engine, rowCount: latents.count)
    let count = 3 * width * height
    let isSound = engine.program.read("sums", as: Float.self) { sums in
      sums.indices.map { sums[$0].isFinite }
    }
    return engine.program.read("pixels", as: UInt8.self) { pixels in
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
