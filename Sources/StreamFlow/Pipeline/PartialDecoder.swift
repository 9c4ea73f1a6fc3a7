internal import FlowCore
internal import FlowEngine
internal import FlowGraph
internal import FlowModels

/// Decodes the images of a stream, and of each only the tiles that the change of its latents reaches.
///
/// The tensors between stages are kept. A tile runs if a position within its window changed, and what
/// it leaves as it was is no change for the next stage. The image is equal, byte for byte, to the one
/// that this decoder makes of the same latents from the beginning, since every tile has the same
/// inputs; against decoding the whole image in one piece it may differ by 1/255, as other tiles do.
/// A change reaches as far as the decoder's receptive field: 16 latent pixels in the starter, 19 in
/// TAESD. Full autoencoders normalize over the whole image, where every pixel depends on all latents.
final class PartialDecoder {
  private let stages: [Stage]
  private let weightsIdentity: [String]
  private let provider: EngineProvider
  private let size: (height: Int, width: Int)
  private var canvas: PixelCanvas
  /// The latents of the kept tensors.
  private var kept: Latents?
  /// The latents of the last image, however it was decoded.
  private var last: Latents?

  private final class Stage {
    let layout: DecoderStage
    let rows: Tiling
    let columns: Tiling
    var program: Program?
    var input: FeatureMap

    init(_ layout: DecoderStage, rows: Tiling, columns: Tiling, height: Int, width: Int) {
      (self.layout, self.rows, self.columns) = (layout, rows, columns)
      input = FeatureMap(channels: layout.inputChannels, height: height, width: width)
    }

    var tiles: [(own: FeatureMap.Area, window: FeatureMap.Area)] {
      rows.tiles.flatMap { row in
        columns.tiles.map { column in
          (
            FeatureMap.Area(rows: row.own, columns: column.own),
            FeatureMap.Area(rows: row.window, columns: column.window)
          )
        }
      }
    }

    /// The work of computing positions: every convolution has a radius of 1.
    func work(positions: Int) -> Double {
      let channels = max(layout.inputChannels, layout.outputChannels)
      return Double(positions * (layout.margin ?? 0) * channels * channels)
    }
  }

  /// The largest memory of the kept tensors in bytes.
  private static let keptByteCount = 512 << 20
  /// The share of the work of a whole image up to which tiles are worth it.
  private static let worthwhileShare = 0.7

  /// - Parameters:
  ///   - autoencoder: the autoencoder whose decoder runs.
  ///   - height: the latents' height.
  ///   - width: the latents' width.
  ///   - weightsIdentity: the identity of its weights.
  ///   - provider: makes programs.
  /// - Returns: nil where no change is worth it: the decoder normalizes over the whole image, a tile
  ///   is the image, or the kept tensors take too much memory.
  init?(
    _ autoencoder: Autoencoder, height: Int, width: Int, weightsIdentity: [String],
    provider: EngineProvider
  ) {
    guard let layouts = autoencoder.localDecoderStages else { return nil }
    var scale = 1
    var byteCount = 0
    stages = layouts.map { layout in
      let margin = layout.margin ?? 0
      let (height, width) = (height * scale, width * scale)
      byteCount += 4 * layout.inputChannels * height * width
      defer { scale *= layout.enlargement }
      // Margins cost at most about half of a tile's own positions, and an image has at most 16 tiles
      // a side.
      func tiling(_ length: Int) -> Tiling {
        let own = max(8 * margin, (length + 15) / 16)
        return Tiling(length: length, own: own + 2 * margin < length ? own : .max, margin: margin)
      }
      return Stage(
        layout, rows: tiling(height), columns: tiling(width), height: height, width: width)
    }
    size = (height, width)
    canvas = PixelCanvas(height: height * scale, width: width * scale)
    self.weightsIdentity = weightsIdentity
    self.provider = provider
    // The smallest change, in the middle of the image.
    let middle = FeatureMap.Area(
      rows: height / 2..<height / 2 + 1, columns: width / 2..<width / 2 + 1)
    guard byteCount <= Self.keptByteCount, share(of: middle) < Self.worthwhileShare else {
      return nil
    }
  }

  /// Makes the programs of all stages.
  func prepare(isolation: isolated (any Actor)? = #isolation) async throws {
    for stage in stages where stage.program == nil {
      let graph = try stage.layout.graph(
        height: stage.rows.windowLength, width: stage.columns.windowLength)
      stage.program = try await provider.program(
        for: GraphModule(graph, weightsIdentity: weightsIdentity))
    }
  }

  /// Whether the next image is worth decoding in tiles; it is decoded in this way or as a whole.
  ///
  /// Where tensors must be computed from the beginning, it is if the change since the last image is
  /// small: then the next one is likely to be small too.
  func isWorthwhile(_ latents: Latents) -> Bool {
    defer { last = latents }
    guard latents.isFinite else { return false }
    for earlier in [kept, last] {
      guard let earlier else { continue }
      guard let changed = PositionMap(from: earlier, to: latents).bounds else { return true }
      if share(of: changed) < Self.worthwhileShare { return true }
    }
    return false
  }

  /// The work of decoding a change of latents, relative to the whole image in one piece.
  private func share(of changed: FeatureMap.Area) -> Double {
    var area = changed
    var (part, whole) = (0.0, 0.0)
    for stage in stages {
      let margin = stage.layout.margin ?? 0
      let (height, width) = (stage.input.height, stage.input.width)
      let rows = stage.rows.tiles.count { $0.window.overlaps(area.rows) }
      let columns = stage.columns.tiles.count { $0.window.overlaps(area.columns) }
      part += stage.work(
        positions: rows * columns * stage.rows.windowLength * stage.columns.windowLength)
      whole += stage.work(positions: height * width)
      area = FeatureMap.Area(
        rows: area.rows.grown(by: margin, to: height),
        columns: area.columns.grown(by: margin, to: width)
      ).enlarged(stage.layout.enlargement)
    }
    return part / whole
  }

  /// Decodes; nil for an image with NaN or infinity.
  func decode(_ latents: Latents) throws -> PixelImage? {
    var changed =
      kept.map { PositionMap(from: $0, to: latents) }
      ?? PositionMap(height: size.height, width: size.width, marked: true)
    // Until all stages have run, the kept tensors belong to no latents: then every stage runs as a whole.
    let isWhole = kept == nil
    kept = nil
    guard latents.isFinite else { return nil }
    stages[0].input.replace(with: latents)
    for (index, stage) in stages.enumerated() {
      guard !changed.isEmpty else { break }
      guard let next = try run(stage, before: index + 1, changed) else { return nil }
      changed =
        isWhole ? PositionMap(height: next.height, width: next.width, marked: true) : next
    }
    kept = latents
    return canvas.image
  }

  /// Runs the tiles of a stage that a change reaches.
  ///
  /// - Returns: the positions of its output that changed; nil where it is NaN or infinite.
  private func run(
    _ stage: Stage, before next: Int, _ changed: PositionMap
  ) throws -> PositionMap? {
    guard let program = stage.program else {
      preconditionFailure("a stage has no program: prepare() was not called")
    }
    let factor = stage.layout.enlargement
    var changes = PositionMap(
      height: stage.input.height * factor, width: stage.input.width * factor)
    for tile in stage.tiles where changed.intersects(tile.window) {
      program.withInput("hidden", as: Float.self) { stage.input.copy(tile.window, to: &$0) }
      try program.run()
      let (own, window) = (tile.own.enlarged(factor), tile.window.enlarged(factor))
      if next < stages.count {
        program.read("hidden_next", as: Float.self) { output in
          stages[next].input.paste(output, covering: window, taking: own, marking: &changes)
        }
      } else {
        guard program.read("sums", as: Float.self, { $0[0].isFinite }) else { return nil }
        program.read("pixels", as: UInt8.self) { output in
          canvas.paste(output, covering: window, taking: own)
        }
      }
    }
    return changes
  }
}

extension Range<Int> {
  /// The range with a margin on both sides, as far as an axis extends.
  fileprivate func grown(by margin: Int, to length: Int) -> Range<Int> {
    Swift.max(lowerBound - margin, 0)..<Swift.min(upperBound + margin, length)
  }
}
