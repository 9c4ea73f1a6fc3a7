extension PixelImage {
  /// The image resized by a bicubic filter that widens for downsampling, bit for bit as Pillow's
  /// `BICUBIC`.
  ///
  /// - Precondition: no side is 0.
  public func resizedBicubically(width: Int, height: Int) -> PixelImage {
    precondition(
      self.width > 0 && self.height > 0 && width > 0 && height > 0,
      "cannot resize \(self.width)x\(self.height) to \(width)x\(height)")
    var result = self
    if width != self.width { result = result.resizedColumns(to: width) }
    if height != self.height { result = result.resizedRows(to: height) }
    return result
  }

  /// The center crop that CLIP reads: the shorter side resized by
  /// ``resizedBicubically(width:height:)``, and a centered square.
  ///
  /// - Parameter side: the side of the square in pixels.
  /// - Precondition: no side is 0.
  public func bicubicMiddle(side: Int) -> PixelImage {
    let short = min(width, height)
    precondition(short > 0 && side > 0, "cannot resize \(width)x\(height) to \(side)")
    let resized = resizedBicubically(width: side * width / short, height: side * height / short)
    guard resized.width != side || resized.height != side else { return resized }
    let (left, top) = ((resized.width - side) / 2, (resized.height - side) / 2)
    var middle: [UInt8] = []
    middle.reserveCapacity(3 * side * side)
    for y in top..<top + side {
      let start = 3 * (y * resized.width + left)
      middle += resized.pixels[start..<start + 3 * side]
    }
    return PixelImage(width: side, height: side, pixels: middle)
  }

  private func resizedColumns(to width: Int) -> PixelImage {
    let filter = BicubicFilter(from: self.width, to: width)
    var result = [UInt8](repeating: 0, count: 3 * width * height)
    let (source, weights) = (pixels.span, filter.weights.span)
    var target = result.mutableSpan
    var place = 0
    for y in 0..<height {
      let line = 3 * y * self.width
      for taps in filter.taps {
        var from = line + 3 * taps.first
        var (red, green, blue) = (BicubicFilter.half, BicubicFilter.half, BicubicFilter.half)
        var index = taps.weights.lowerBound
        while index < taps.weights.upperBound {
          let weight = weights[index]
          red += weight * Int(source[from])
          green += weight * Int(source[from + 1])
          blue += weight * Int(source[from + 2])
          from += 3
          index += 1
        }
        target[place] = BicubicFilter.byte(red)
        target[place + 1] = BicubicFilter.byte(green)
        target[place + 2] = BicubicFilter.byte(blue)
        place += 3
      }
    }
    return PixelImage(width: width, height: height, pixels: result)
  }

  private func resizedRows(to height: Int) -> PixelImage {
    let filter = BicubicFilter(from: self.height, to: height)
    let count = 3 * width
    var result = [UInt8](repeating: 0, count: count * height)
    let (source, weights) = (pixels.span, filter.weights.span)
    var target = result.mutableSpan
    for (y, taps) in filter.taps.enumerated() {
      var column = 0
      while column < count {
        var from = count * taps.first + column
        var sum = BicubicFilter.half
        var index = taps.weights.lowerBound
        while index < taps.weights.upperBound {
          sum += weights[index] * Int(source[from])
          from += count
          index += 1
        }
        target[count * y + column] = BicubicFilter.byte(sum)
        column += 1
      }
    }
    return PixelImage(width: width, height: height, pixels: result)
  }
}

/// The weights of Pillow's bicubic filter along one axis, as integers.
private struct BicubicFilter {
  /// The source pixels whose weighted sum is a pixel of the result.
  struct Taps {
    let first: Int
    /// The range of its weights.
    let weights: Range<Int>
  }

  private(set) var taps: [Taps] = []
  private(set) var weights: [Int] = []

  private static let fractionBits = 22
  /// A half, with which every sum starts, so that it is rounded.
  static let half = 1 << (fractionBits - 1)

  init(from sourceCount: Int, to count: Int) {
    let scale = Double(sourceCount) / Double(count)
    let widening = max(scale, 1)
    let support = 2 * widening
    for place in 0..<count {
      let center = (Double(place) + 0.5) * scale
      let first = max(Int(center - support + 0.5), 0)
      let end = min(Int(center + support + 0.5), sourceCount)
      let values = (first..<end).map { index in
        Self.value((Double(index) - center + 0.5) / widening)
      }
      let sum = values.reduce(0, +)
      let start = weights.count
      weights += values.map { value in
        let weight = (sum == 0 ? value : value / sum) * Double(1 << Self.fractionBits)
        return Int(weight + (weight < 0 ? -0.5 : 0.5))
      }
      taps.append(Taps(first: first, weights: start..<weights.count))
    }
  }

  /// The filter at a distance (Keys, 1981, with a = -1/2).
  private static func value(_ distance: Double) -> Double {
    let x = abs(distance)
    if x < 1 { return (1.5 * x - 2.5) * x * x + 1 }
    if x < 2 { return (((x - 5) * x + 8) * x - 4) * -0.5 }
    return 0
  }

  static func byte(_ sum: Int) -> UInt8 { UInt8(min(max(sum >> fractionBits, 0), 255)) }
}
