internal import FlowCore

/// Enlarges images by Lanczos' filter as Pillow does: first along rows, then along columns, with 8
/// bits in between.
struct LanczosEnlargement {
  /// The final size, at least that of the image.
  let size: PixelSize

  func callAsFunction(_ image: PixelImage) -> PixelImage {
    let wide = sums(
      image.pixels, lines: image.height, lineStrides: (3 * image.width, 3 * size.width),
      counts: (image.width, size.width), pixelStrides: (3, 3))
    let pixels = sums(
      wide, lines: size.width, lineStrides: (3, 3), counts: (image.height, size.height),
      pixelStrides: (3 * size.width, 3 * size.width))
    return PixelImage(width: size.width, height: size.height, pixels: pixels)
  }

  /// Enlarges along one axis.
  ///
  /// - Parameters:
  ///   - source: the elements.
  ///   - lines: the number of lines, each of pixels along the axis.
  ///   - lineStrides: the distance between lines in elements, of the source and of the result.
  ///   - counts: the pixels of a line.
  ///   - pixelStrides: the distance between pixels of a line in elements.
  private func sums(
    _ source: [UInt8], lines: Int, lineStrides: (source: Int, target: Int),
    counts: (source: Int, target: Int), pixelStrides: (source: Int, target: Int)
  ) -> [UInt8] {
    guard counts.source != counts.target else { return source }
    let extent = ImageFit.Extent(source: 0..<Double(counts.source), target: 0..<counts.target)
    var result = [UInt8](repeating: 0, count: 3 * lines * counts.target)
    let source = source.span
    var target = result.mutableSpan
    for (place, taps) in extent.taps(of: counts.source).enumerated() {
      for line in 0..<lines {
        let from = line * lineStrides.source + taps.first * pixelStrides.source
        let into = line * lineStrides.target + place * pixelStrides.target
        for channel in 0..<3 {
          var sum: Float = 0
          var index = from + channel
          for weight in taps.weights {
            sum += weight * Float(source[index])
            index += pixelStrides.source
          }
          target[into + channel] = UInt8(min(max(sum, 0), 255).rounded())
        }
      }
    }
    return result
  }
}
