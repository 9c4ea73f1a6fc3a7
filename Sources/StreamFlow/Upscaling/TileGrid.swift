internal import FlowCore
internal import FlowModels

/// The tiles of an image that several workers upscale together.
struct TileGrid: Equatable {
  struct Tile: Equatable {
    /// The part of the image that the tile contributes.
    let own: FeatureMap.Area
    /// The part that is computed: the same with margins, as far as the image extends.
    let window: FeatureMap.Area
  }

  /// The tiles, row by row; their windows have one size.
  let tiles: [Tile]

  /// The maximum time of a shared image, as a fraction of the time of the whole one.
  private static let worthwhileShare = 0.8

  /// The grid that takes the least time; a single tile if sharing saves little.
  ///
  /// - Parameters:
  ///   - size: the size of the image in pixels.
  ///   - margin: the margin of a tile in pixels.
  ///   - unit: the positions and sides of windows are multiples of this.
  ///   - workers: how many compute at once, equally fast; rounded down to a power of two, so that
  ///     an image's tiles have few sizes, each of which needs an engine.
  init(size: PixelSize, margin: Int, unit: Int, workers: Int) {
    let whole = Tile(
      own: .init(rows: 0..<size.height, columns: 0..<size.width),
      window: .init(rows: 0..<size.height, columns: 0..<size.width))
    func up(_ length: Int) -> Int { (length + unit - 1) / unit * unit }
    guard workers > 1, size.width.isMultiple(of: unit), size.height.isMultiple(of: unit) else {
      tiles = [whole]
      return
    }
    let margin = up(margin)
    let workers = 1 << (Int.bitWidth - 1 - workers.leadingZeroBitCount)
    func tilings(_ length: Int) -> [Tiling] {
      (1...workers).map { count in
        Tiling(length: length, own: up((length + count - 1) / count), margin: margin)
      }
    }
    // The time in pixels of one worker. Of equal grids the first, which has fewer rows, is taken.
    var best: (time: Int, rows: Tiling, columns: Tiling)?
    for rows in tilings(size.height) {
      for columns in tilings(size.width) {
        let turns = (rows.tiles.count * columns.tiles.count + workers - 1) / workers
        let time = turns * rows.windowLength * columns.windowLength
        if time < best?.time ?? .max { best = (time, rows, columns) }
      }
    }
    guard let best,
      Double(best.time) <= Self.worthwhileShare * Double(size.width * size.height)
    else {
      tiles = [whole]
      return
    }
    tiles = best.rows.tiles.flatMap { row in
      best.columns.tiles.map { column in
        Tile(
          own: .init(rows: row.own, columns: column.own),
          window: .init(rows: row.window, columns: column.window))
      }
    }
  }
}
