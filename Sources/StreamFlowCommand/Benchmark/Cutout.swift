internal import FlowCore
internal import FlowImage

/// A square image of a subject without its background: colors multiplied by how much of the background they cover.
struct Cutout {
  let side: Int
  /// Red, green and blue of each pixel over black, 0 to 255.
  let colors: [Int32]
  /// How much of the background each pixel covers, 0 to 255.
  private let cover: [Int32]

  private init(side: Int, colors: [Int32], cover: [Int32]) {
    (self.side, self.colors, self.cover) = (side, colors, cover)
  }

  /// The part of a sheet that was read twice, over black and over white: what differs shows the background.
  init(black: PixelImage, white: PixelImage, left: Int, top: Int, side: Int) {
    var (colors, cover): ([Int32], [Int32]) = ([], [])
    for y in top..<top + side {
      for x in left..<left + side {
        let start = 3 * (y * black.width + x)
        colors += black.pixels[start..<start + 3].map(Int32.init)
        cover.append(255 - Int32(white.pixels[start]) + Int32(black.pixels[start]))
      }
    }
    self.init(side: side, colors: colors, cover: cover)
  }

  /// The same with half as many pixels in each direction, by means of four.
  var halved: Cutout {
    let half = side / 2
    func mean(_ values: [Int32], _ x: Int, _ y: Int, _ channel: Int, of channels: Int) -> Int32 {
      let start = channels * (2 * y * side + 2 * x) + channel
      let next = start + channels * side
      return (values[start] + values[start + channels] + values[next] + values[next + channels] + 2)
        / 4
    }
    var (smaller, thinner): ([Int32], [Int32]) = ([], [])
    for y in 0..<half {
      for x in 0..<half {
        for channel in 0..<3 { smaller.append(mean(colors, x, y, channel, of: 3)) }
        thinner.append(mean(cover, x, y, 0, of: 1))
      }
    }
    return Cutout(side: half, colors: smaller, cover: thinner)
  }

  /// Which pixels hide the background completely, and which leave it as it is.
  var parts: (subject: [Bool], background: [Bool]) {
    (cover.map { $0 == 255 }, cover.map { $0 == 0 })
  }

  /// The subject on a background of one color.
  func image(over color: RGBColor) -> PixelImage {
    let ground = [color.red, color.green, color.blue].map(Int32.init)
    let pixels = colors.indices.map { index in
      UInt8(clamping: colors[index] + ((255 - cover[index / 3]) * ground[index % 3] + 127) / 255)
    }
    return PixelImage(width: side, height: side, pixels: pixels)
  }

  /// The sum of squared differences between an image and the subject moved over the image's own background; nil as soon as
  /// it reaches a limit.
  func error(
    of image: [Int32], over ground: BackgroundFit, movedBy move: (x: Int, y: Int), below limit: Int
  ) -> Int? {
    var sum = 0
    for y in 0..<side {
      let from = y - move.y
      var row: Int32 = 0
      for x in 0..<side {
        let start = 3 * (y * side + x)
        let column = x - move.x
        guard from >= 0, from < side, column >= 0, column < side else {
          for index in start..<start + 3 {
            let difference = image[index] &- ground.values[index]
            row &+= difference &* difference
          }
          continue
        }
        let source = from * side + column
        let shown = 255 &- cover[source]
        for channel in 0..<3 {
          // Exactly rounded where all of the background shows.
          let under = ((shown &* ground.values[start + channel] &+ 128) &* 257) >> 16
          let difference = image[start + channel] &- colors[3 * source + channel] &- under
          row &+= difference &* difference
        }
      }
      sum += Int(row)
      if sum >= limit { return nil }
    }
    return sum
  }
}

/// The background of an image, read at its border: a color that may change evenly from side to side.
struct BackgroundFit {
  /// The color in the middle of the image, 0 to 255 each.
  let middle: [Double]
  /// The background's red, green and blue at each pixel.
  let values: [Int32]

  /// Fits a plane to each channel of the two outermost pixels of an image by least squares: first to those near their median,
  /// then to those near the plane, so that a subject that reaches the border does not count.
  init(_ image: [Int32], side: Int) {
    let border = (0..<side * side).filter { index in
      let (x, y) = (index % side, index / side)
      return min(x, y, side - 1 - x, side - 1 - y) < 2
    }
    let center = Double(side - 1) / 2
    func position(_ index: Int) -> [Double] {
      [1, Double(index % side) - center, Double(index / side) - center]
    }
    func fit(_ pixels: [Int], _ channel: Int) -> [Double] {
      var (matrix, right) = ([[Double]](repeating: [0, 0, 0], count: 3), [0.0, 0, 0])
      for pixel in pixels {
        let (basis, value) = (position(pixel), Double(image[3 * pixel + channel]))
        for row in 0..<3 {
          right[row] += basis[row] * value
          for column in 0..<3 { matrix[row][column] += basis[row] * basis[column] }
        }
      }
      return Self.solution(matrix, right)
    }
    let planes = (0..<3).map { channel in
      let values = border.map { image[3 * $0 + channel] }.sorted()
      var plane = [Double(values[values.count / 2]), 0, 0]
      for limit in [60.0, 30] {
        let near = border.filter { pixel in
          let expected = zip(plane, position(pixel)).reduce(0) { $0 + $1.0 * $1.1 }
          return abs(Double(image[3 * pixel + channel]) - expected) < limit
        }
        // Fewer are not a background.
        if near.count > border.count / 3 { plane = fit(near, channel) }
      }
      return plane
    }
    middle = planes.map { $0[0] }
    values = (0..<side * side).flatMap { pixel in
      let basis = position(pixel)
      return planes.map { plane in
        let value = zip(plane, basis).reduce(0) { $0 + $1.0 * $1.1 }
        return Int32(min(max(value.rounded(), 0), 255))
      }
    }
  }

  /// The solution of three linear equations by elimination with pivots; the mean alone where they do not determine a slope.
  private static func solution(_ matrix: [[Double]], _ right: [Double]) -> [Double] {
    var rows = zip(matrix, right).map { $0 + [$1] }
    for column in 0..<3 {
      let pivot = (column..<3).max { abs(rows[$0][column]) < abs(rows[$1][column]) } ?? column
      rows.swapAt(column, pivot)
      guard abs(rows[column][column]) > 1e-9 else {
        return [right[0] / max(matrix[0][0], 1), 0, 0]
      }
      for other in 0..<3 where other != column {
        let factor = rows[other][column] / rows[column][column]
        for entry in column..<4 { rows[other][entry] -= factor * rows[column][entry] }
      }
    }
    return (0..<3).map { rows[$0][3] / rows[$0][$0] }
  }
}
