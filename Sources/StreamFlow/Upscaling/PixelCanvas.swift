internal import FlowCore

/// An image that is assembled from tiles.
struct PixelCanvas {
  let height: Int
  let width: Int
  private var pixels: [UInt8]

  init(height: Int, width: Int) {
    (self.height, self.width) = (height, width)
    pixels = [UInt8](repeating: 0, count: 3 * height * width)
  }

  /// Pastes a part of a tile.
  ///
  /// - Parameters:
  ///   - tile: the tile's pixels, red, green and blue, row by row.
  ///   - window: the area that the tile covers.
  ///   - area: the part that is pasted.
  mutating func paste(
    _ tile: Span<UInt8>, covering window: FeatureMap.Area, taking area: FeatureMap.Area
  ) {
    let width = width
    let offset = 3 * (area.columns.lowerBound - window.columns.lowerBound)
    let count = 3 * area.columns.count
    var target = pixels.mutableSpan
    for row in area.rows {
      let from = 3 * (row - window.rows.lowerBound) * window.columns.count + offset
      let into = 3 * (row * width + area.columns.lowerBound)
      let line = tile.extracting(from..<from + count)
      for index in 0..<count { target[into + index] = line[index] }
    }
  }

  /// The image assembled so far.
  var image: PixelImage { PixelImage(width: width, height: height, pixels: pixels) }
}

extension PixelImage {
  /// Copies an area out, row by row.
  func copy(_ area: FeatureMap.Area, to target: inout MutableSpan<UInt8>) {
    let count = 3 * area.columns.count
    precondition(target.count == area.rows.count * count, "an area of another size")
    let source = pixels.span
    var place = 0
    for row in area.rows {
      let start = 3 * (row * width + area.columns.lowerBound)
      let line = source.extracting(start..<start + count)
      for index in 0..<count { target[place + index] = line[index] }
      place += count
    }
  }

  /// The image with its last columns and rows mirrored beyond its edges, so that its sides are
  /// multiples of a number.
  func mirrored(toMultiplesOf unit: Int) -> PixelImage {
    let larger = (
      width: (width + unit - 1) / unit * unit, height: (height + unit - 1) / unit * unit
    )
    guard larger.width > width || larger.height > height else { return self }
    // The edge itself is not repeated, unless the image has a single line.
    func place(_ index: Int, of count: Int) -> Int {
      index < count ? index : max(2 * count - 2 - index, 0)
    }
    var mirrored: [UInt8] = []
    mirrored.reserveCapacity(3 * larger.width * larger.height)
    for row in 0..<larger.height {
      for column in 0..<larger.width {
        let start = 3 * (place(row, of: height) * width + place(column, of: width))
        mirrored += pixels[start..<start + 3]
      }
    }
    return PixelImage(width: larger.width, height: larger.height, pixels: mirrored)
  }
}
