internal import FlowCore
internal import FlowEngine
internal import FlowGraph
internal import FlowModels

/// Upscales images of one size, tile by tile, all with one engine.
final class TiledUpscaler {
  /// The size of the images.
  let size: PixelSize
  let factor: Int
  private let file: UpscalerFile
  private let rows: Tiling
  private let columns: Tiling
  private let program: Program

  /// The maximum size in bytes of a tile's widest tensor; an engine holds about four.
  private static let tileByteCount = 256 << 20

  /// The margin in input pixels of a tile of a dense network, whose receptive field is larger.
  ///
  /// Pixels further away have little influence: with RealESRGAN_x4plus, whose receptive field is
  /// 349, one value in a hundred differs from the whole image's by 1/255; with 16 pixels by up to
  /// 4/255.
  static let denseMargin = 32

  private init(
    _ file: UpscalerFile, size: PixelSize, factor: Int, rows: Tiling, columns: Tiling,
    program: Program
  ) {
    (self.file, self.size, self.factor) = (file, size, factor)
    (self.rows, self.columns, self.program) = (rows, columns, program)
  }

  /// Makes the program for images of a size.
  ///
  /// - Parameters:
  ///   - file: the upscaler.
  ///   - size: the size of the images.
  ///   - factor: the ratio of the final sides to the image's.
  ///   - side: the maximum side in pixels of a tile with its margins; nil for what memory allows.
  ///   - margin: the margin of a tile; nil for ``margin(of:)``.
  static func make(
    _ file: UpscalerFile, size: PixelSize, factor: Int, side: Int? = nil, margin: Int? = nil,
    provider: EngineProvider
  ) async throws -> sending TiledUpscaler {
    let configuration = file.configuration
    let unit = configuration.alignment
    func tiling(_ length: Int) -> Tiling {
      Tiling(
        length: (length + unit - 1) / unit * unit,
        atMost: side ?? Self.side(of: configuration),
        margin: margin ?? Self.margin(of: configuration), unit: unit)
    }
    let (rows, columns) = (tiling(size.height), tiling(size.width))
    let graph = try file.network.graph(
      height: rows.windowLength, width: columns.windowLength, factor: factor)
    let program = try await provider.program(
      for: GraphModule(graph, weightsIdentity: file.weights.identity))
    return TiledUpscaler(
      file, size: size, factor: factor, rows: rows, columns: columns, program: program)
  }

  /// The margin of a tile in input pixels.
  ///
  /// For compact networks it is the receptive field, so that the pixels are those of the whole
  /// image.
  static func margin(of configuration: UpscalerConfiguration) -> Int {
    switch configuration.kind {
    case .compact: configuration.reach
    case .dense: min(configuration.reach, denseMargin)
    }
  }

  /// The maximum side in pixels of a tile with its margins.
  private static func side(of configuration: UpscalerConfiguration) -> Int {
    let pixels = Double(tileByteCount / configuration.widestByteCount)
    // A tile that is mostly margin would waste work.
    return max(Int(pixels.squareRoot()) / 16 * 16, 4 * margin(of: configuration) + 16)
  }

  /// Upscales; nil if the result has NaN or infinity.
  ///
  /// - Precondition: the image has this size.
  func upscale(_ image: PixelImage) throws(EngineError) -> PixelImage? {
    precondition(image.width == size.width && image.height == size.height, "another size")
    let source = image.mirrored(toMultiplesOf: file.configuration.alignment)
    var canvas = PixelCanvas(height: source.height * factor, width: source.width * factor)
    for row in rows.tiles {
      for column in columns.tiles {
        let window = FeatureMap.Area(rows: row.window, columns: column.window)
        program.withInput("source", as: UInt8.self) { source.copy(window, to: &$0) }
        try program.run()
        guard program.read("sums", as: Float.self, { $0[0].isFinite }) else { return nil }
        let own = FeatureMap.Area(rows: row.own, columns: column.own)
        program.read("pixels", as: UInt8.self) { tile in
          canvas.paste(tile, covering: window.enlarged(factor), taking: own.enlarged(factor))
        }
      }
    }
    guard source.width > image.width || source.height > image.height else { return canvas.image }
    let whole = FeatureMap.Area(rows: 0..<canvas.height, columns: 0..<canvas.width)
    var cut = PixelCanvas(height: image.height * factor, width: image.width * factor)
    cut.paste(
      canvas.image.pixels.span, covering: whole,
      taking: FeatureMap.Area(rows: 0..<cut.height, columns: 0..<cut.width))
    return cut.image
  }
}
