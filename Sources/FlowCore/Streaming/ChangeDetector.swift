/// Finds the cells of a stream's images that changed since each was last taken over.
///
/// Each image is compared with ``held``, in which every cell has the pixels of the image in which it
/// last changed, so that slow changes add up. A cell has changed if the mean of a 4x4-pixel block in
/// it differs by more than the threshold in a channel: averaging 16 pixels divides the deviation of
/// camera noise by 4. The neighbors of changed cells count as changed, as in FluxRT.
public struct ChangeDetector: Sendable {
  /// The difference of a block's mean that is a change: a fraction of the full range, 0 to 1.
  public var threshold: Double
  /// The image in which every cell is the one that it last changed to; nil before the first image.
  public private(set) var held: PixelImage?

  /// The side of the blocks whose means are compared.
  private static let blockSide = CellMap.side / 2

  /// Creates a detector that has seen no image.
  ///
  /// - Precondition: the threshold is 0 to 1.
  public init(threshold: Double) {
    precondition((0...1).contains(threshold), "a threshold is 0 to 1, got \(threshold)")
    self.threshold = threshold
  }

  /// The cells that changed, which are taken over; all cells of the first image, and of one of
  /// another size.
  public mutating func take(_ image: PixelImage) -> CellMap {
    guard let held, held.width == image.width, held.height == image.height else {
      held = image
      return CellMap(width: image.width, height: image.height, marked: true)
    }
    guard image != held else {
      return CellMap(width: image.width, height: image.height, marked: false)
    }
    let changed = Self.changes(from: held, to: image, threshold: threshold).dilated
    self.held = held.replacing(changed, from: image)
    return changed
  }

  private static func changes(
    from held: PixelImage, to image: PixelImage, threshold: Double
  ) -> CellMap {
    var map = CellMap(width: image.width, height: image.height, marked: false)
    let (new, old) = (image.pixels.span, held.pixels.span)
    let (width, height) = (image.width, image.height)
    let blocks = (width + blockSide - 1) / blockSide
    for top in stride(from: 0, to: height, by: blockSide) {
      var sums = [Int32](repeating: 0, count: 3 * blocks)
      let bottom = min(top + blockSide, height)
      for y in top..<bottom {
        let line = 3 * y * width
        for x in 0..<width {
          let (place, block) = (line + 3 * x, 3 * (x / blockSide))
          for channel in 0..<3 {
            sums[block + channel] += Int32(new[place + channel]) - Int32(old[place + channel])
          }
        }
      }
      for block in 0..<blocks {
        let count = (bottom - top) * (min((block + 1) * blockSide, width) - block * blockSide)
        let limit = threshold * 255 * Double(count)
        let largest = (0..<3).map { abs(sums[3 * block + $0]) }.max() ?? 0
        if Double(largest) > limit { map[block / 2, top / CellMap.side] = true }
      }
    }
    return map
  }
}

extension PixelImage {
  /// The image with the marked cells of another one of the same size.
  func replacing(_ cells: CellMap, from other: PixelImage) -> PixelImage {
    var bytes = pixels
    var target = bytes.mutableSpan
    let source = other.pixels.span
    for row in 0..<cells.rows {
      for column in 0..<cells.columns where cells[column, row] {
        let right = min((column + 1) * CellMap.side, width)
        for y in row * CellMap.side..<min((row + 1) * CellMap.side, height) {
          let start = 3 * (y * width + column * CellMap.side)
          for index in start..<3 * (y * width + right) { target[index] = source[index] }
        }
      }
    }
    return PixelImage(width: width, height: height, pixels: bytes)
  }
}
