extension PixelImage {
  /// The edges of the image, white on black: Canny's detector (Canny, 1986) as in `cv2.Canny`, with
  /// Sobel gradients of 3 x 3 pixels, the strongest of three channels, and the norm `|dx| + |dy|`.
  ///
  /// - Parameter thresholds: gradients above the upper bound are edges, and gradients above the
  ///   lower one are edges if they are connected to an edge.
  func cannyEdges(thresholds: ClosedRange<Int>) -> PixelImage {
    let gradients = Gradients(of: self)
    var marks = [UInt8](repeating: 0, count: width * height)
    var strong = gradients.markRidges(above: thresholds, &marks)
    // Pixels connected to an edge are edges, in all eight directions.
    var target = marks.mutableSpan
    while let place = strong.popLast() {
      let (x, y) = (place % width, place / width)
      for row in max(y - 1, 0)...min(y + 1, height - 1) {
        for column in max(x - 1, 0)...min(x + 1, width - 1) {
          let neighbor = row * width + column
          guard target[neighbor] == Gradients.weak else { continue }
          target[neighbor] = Gradients.edge
          strong.append(neighbor)
        }
      }
    }
    var place = 0
    while place < target.count {
      if target[place] == Gradients.weak { target[place] = 0 }
      place += 1
    }
    return PixelImage(gray: marks, width: width, height: height)
  }
}

/// The gradients of an image and their norms, with a border of zeros.
private struct Gradients {
  private let width: Int
  private let height: Int
  /// The width of a line with its border.
  private let pitch: Int
  private var across: [Int16]
  private var down: [Int16]
  private var sizes: [Int32]

  /// Marks of edges, and of pixels that are edges if they are connected to one.
  static let (edge, weak): (UInt8, UInt8) = (255, 1)

  init(of image: PixelImage) {
    (width, height, pitch) = (image.width, image.height, image.width + 2)
    across = [Int16](repeating: 0, count: pitch * (height + 2))
    down = across
    sizes = [Int32](repeating: 0, count: pitch * (height + 2))
    let count = 3 * width
    // The three lines around one, weighted by 1, 2, 1 and by -1, 0, 1.
    var sums = [Int16](repeating: 0, count: count)
    var differences = sums
    let source = image.pixels.span
    for y in 0..<height {
      let (above, line, below) = (
        count * max(y - 1, 0), count * y, count * min(y + 1, height - 1)
      )
      var index = 0
      while index < count {
        let (first, last) = (Int16(source[above + index]), Int16(source[below + index]))
        sums[index] = first + 2 * Int16(source[line + index]) + last
        differences[index] = last - first
        index += 1
      }
      fill(y, sums.span, differences.span)
    }
  }

  /// The gradients of a line, from the channel in which they are largest.
  private mutating func fill(_ y: Int, _ sums: Span<Int16>, _ differences: Span<Int16>) {
    var place = pitch * (y + 1) + 1
    for x in 0..<width {
      let (left, here, right) = (3 * max(x - 1, 0), 3 * x, 3 * min(x + 1, width - 1))
      for channel in 0..<3 {
        let (dx, dy) = (
          sums[right + channel] - sums[left + channel],
          differences[left + channel] + 2 * differences[here + channel]
            + differences[right + channel]
        )
        let size = Int32(abs(dx)) + Int32(abs(dy))
        guard channel == 0 || size > sizes[place] else { continue }
        (across[place], down[place], sizes[place]) = (dx, dy, size)
      }
      place += 1
    }
  }

  /// Marks the maxima along the gradient, and returns those that are edges.
  func markRidges(above thresholds: ClosedRange<Int>, _ marks: inout [UInt8]) -> [Int] {
    var strong: [Int] = []
    let sizes = sizes.span
    for y in 0..<height {
      for x in 0..<width {
        let place = pitch * (y + 1) + x + 1
        let size = sizes[place]
        guard size > thresholds.lowerBound, isRidge(place, size) else { continue }
        let isStrong = size > thresholds.upperBound
        marks[y * width + x] = isStrong ? Self.edge : Self.weak
        if isStrong { strong.append(y * width + x) }
      }
    }
    return strong
  }

  /// Whether no neighbor along the gradient is larger; of two equal ones the first counts.
  private func isRidge(_ place: Int, _ size: Int32) -> Bool {
    let (dx, dy) = (Int(across[place]), Int(down[place]))
    // The tangent of 22.5 degrees in 15 bits; that of 67.5 is greater by 2.
    let x = abs(dx) * 13573
    let y = abs(dy) << 15
    if y < x { return size > sizes[place - 1] && size >= sizes[place + 1] }
    if y > x + abs(dx) << 16 { return size > sizes[place - pitch] && size >= sizes[place + pitch] }
    let side = dx ^ dy < 0 ? -1 : 1
    return size > sizes[place - pitch - side] && size > sizes[place + pitch + side]
  }
}
