#if canImport(Glibc)
  private import Glibc
#elseif canImport(Musl)
  private import Musl
#else
  private import Darwin
#endif

extension PixelImage {
  /// The image filtered by 1, 4, 6, 4, 1 along both axes, edges mirrored: `cv2.GaussianBlur` of 5 x
  /// 5 pixels.
  func binomiallyBlurred() -> PixelImage {
    let count = 3 * width
    let kernel = [1, 4, 6, 4, 1]
    var result = [UInt8](repeating: 0, count: pixels.count)
    var line = [Int](repeating: 0, count: count)
    let source = pixels.span
    var target = result.mutableSpan
    for y in 0..<height {
      let rows = (-2...2).map { count * mirrored(y + $0, count: height) }
      var index = 0
      while index < count {
        var sum = 0
        for tap in 0..<5 { sum += kernel[tap] * Int(source[rows[tap] + index]) }
        line[index] = sum
        index += 1
      }
      for x in 0..<width {
        let columns = (-2...2).map { 3 * mirrored(x + $0, count: width) }
        for channel in 0..<3 {
          var sum = 128
          for tap in 0..<5 { sum += kernel[tap] * line[columns[tap] + channel] }
          target[count * y + 3 * x + channel] = UInt8(sum >> 8)
        }
      }
    }
    return PixelImage(width: width, height: height, pixels: result)
  }

  /// Strokes where the image is darker than its surroundings: the difference of two Gaussian blurs,
  /// of half a pixel and of 5 pixels (Winnemoeller et al., 2012), as in the scribbles of web UIs.
  ///
  /// - Parameter contrast: the minimum darkening of a stroke, of 255, in each channel.
  func scribble(contrast: Float) -> PixelImage {
    let (near, far) = (blurred(deviation: 0.5), blurred(deviation: 5))
    var strokes = [UInt8](repeating: 0, count: width * height)
    let (fine, coarse) = (near.span, far.span)
    var target = strokes.mutableSpan
    var place = 0
    while place < target.count {
      let least = min(
        coarse[3 * place] - fine[3 * place], coarse[3 * place + 1] - fine[3 * place + 1],
        coarse[3 * place + 2] - fine[3 * place + 2])
      if least > contrast { target[place] = 255 }
      place += 1
    }
    return PixelImage(gray: strokes, width: width, height: height)
  }

  /// The image blurred by a Gaussian of four deviations to each side, edges mirrored:
  /// `cv2.GaussianBlur` of floats.
  private func blurred(deviation: Double) -> [Float] {
    let size = Int((deviation * 8 + 1).rounded(.toNearestOrEven)) | 1
    let reach = size / 2
    let bell = (-reach...reach).map { exp(-Double($0 * $0) / (2 * deviation * deviation)) }
    let sum = bell.reduce(0, +)
    let kernel = bell.map { Float($0 / sum) }
    let count = 3 * width
    var result = [Float](repeating: 0, count: pixels.count)
    // A line with its mirrored ends, so that the inner loop has no special cases.
    var line = [Float](repeating: 0, count: count + 6 * reach)
    let source = pixels.map(Float.init)
    let beside = [Int](-reach..<0) + [Int](width..<width + reach)
    for y in 0..<height {
      for index in line.indices { line[index] = 0 }
      for (tap, weight) in kernel.enumerated() {
        let row = count * mirrored(y + tap - reach, count: height)
        Self.add(weight, times: source, from: row, to: &line, at: 3 * reach, count: count)
      }
      for x in beside {
        let from = 3 * (mirrored(x, count: width) + reach)
        for channel in 0..<3 { line[3 * (x + reach) + channel] = line[from + channel] }
      }
      for (tap, weight) in kernel.enumerated() {
        Self.add(weight, times: line, from: 3 * tap, to: &result, at: count * y, count: count)
      }
    }
    return result
  }

  /// Adds a run of floats, weighed, to another.
  private static func add(
    _ weight: Float, times source: [Float], from start: Int, to target: inout [Float],
    at place: Int, count: Int
  ) {
    precondition(start + count <= source.count && place + count <= target.count)
    unsafe source.withUnsafeBufferPointer { source in
      unsafe target.withUnsafeMutableBufferPointer { target in
        guard let from = source.baseAddress, let to = target.baseAddress else { return }
        // A while loop over addresses: vectorized when optimized, and bearable when not.
        var index = 0
        while index < count {
          unsafe to[place + index] += weight * from[start + index]
          index += 1
        }
      }
    }
  }

  /// The position whose mirror image a position beyond an edge is; the edge itself is not repeated.
  private func mirrored(_ place: Int, count: Int) -> Int {
    guard count > 1 else { return 0 }
    var place = place
    while place < 0 || place >= count {
      place = place < 0 ? -place : 2 * (count - 1) - place
    }
    return place
  }
}
