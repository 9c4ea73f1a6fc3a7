internal import FlowCore
internal import FlowEngine
internal import FlowGraph

/// Turns latents into pictures, those that are ready together in one run.
final class LatentDecoder {
  private struct BatchEngine {
    let rows: Int
    let engine: DecoderEngine
  }

  private final class DecoderEngine {
    let session: Session
    init(_ session: consuming Session) { self.session = session }
  }

  private let engines: [BatchEngine]
  private let width: Int
  private let height: Int

  /// - Parameters:
  ///   - height: the latents' height.
  ///   - width: the latents' width.
  ///   - rowCounts: the numbers of pictures that a run may decode; 1 is among them.
  init(
    _ checkpoint: Checkpoint, height: Int, width: Int, rowCounts: [Int],
    configuration: EngineConfiguration, cache: EngineCache?
  ) throws {
    let autoencoder = TinyAutoencoder(
      configuration: checkpoint.autoencoder, weights: checkpoint.autoencoderWeights.root)
    engines = try rowCounts.sorted(by: >).map { rows in
      let graph = try autoencoder.decoderGraph(rows: rows, height: height, width: width)
      let session = try Session(
        ONNXModel(graph, weightsIdentity: checkpoint.autoencoderWeights.identity),
        configuration: configuration, cache: cache)
      return BatchEngine(rows: rows, engine: DecoderEngine(session))
    }
    self.width = width * checkpoint.autoencoder.factor
    self.height = height * checkpoint.autoencoder.factor
  }

  func decode(_ latents: [Latents]) throws -> [PixelImage] {
    var pictures: [PixelImage] = []
    while pictures.count < latents.count {
      let remaining = latents[pictures.count...]
      // The largest engine that is filled; the smallest one where none is.
      let choice = engines.first { $0.rows <= remaining.count } ?? engines[engines.count - 1]
      pictures += try decode(remaining.prefix(choice.rows), with: choice)
    }
    return pictures
  }

  private func decode(
    _ latents: ArraySlice<Latents>, with choice: BatchEngine
  ) throws -> [PixelImage] {
    let session = choice.engine
    for (row, sample) in latents.enumerated() {
      let scalars = sample.scalars
      session.session.write(scalars.span, toRow: row, of: choice.rows, input: 0)
    }
    try session.session.run()
    let count = 3 * width * height
    return session.session.read(output: 0, as: UInt8.self) { pixels in
      (0..<latents.count).map { row in
        var bytes = [UInt8](repeating: 0, count: count)
        var target = bytes.mutableSpan
        for index in 0..<count { target[index] = pixels[row * count + index] }
        return PixelImage(width: width, height: height, pixels: bytes)
      }
    }
  }
}
