#if canImport(Glibc)
  private import Glibc
#elseif canImport(Musl)
  private import Musl
#else
  private import Darwin
#endif

extension ImageMask {
  /// The weight of the repainted image at each pixel, 0 to 255, with a soft edge inside the mask.
  ///
  /// Twice the blurred coverage less 1, so that pixels outside the mask keep a weight of 0: the
  /// transition lies within the mask.
  ///
  /// - Parameter radius: the standard deviation of the blur in pixels, 0 for a hard edge, which is
  ///   the coverage itself.
  public func feathered(radius: Double) -> ImageMask {
    guard radius > 0 else { return self }
    let blurred = blurred(radius: radius)
    let coverage = zip(blurred, coverage).map { blurred, covered in
      guard covered > 0 else { return UInt8(0) }
      return UInt8(min(max((2 * blurred - 255).rounded(), 0), 255))
    }
    return ImageMask(width: width, height: height, coverage: coverage)
  }

  /// The coverage after a Gaussian blur; edge values continue beyond the edge.
  private func blurred(radius: Double) -> [Float] {
    let reach = max(Int((3 * radius).rounded(.up)), 1)
    let weights = (-reach...reach).map { exp(-Double($0 * $0) / (2 * radius * radius)) }
    let sum = weights.reduce(0, +)
    let kernel = weights.map { Float($0 / sum) }
    let rows = filtered(
      coverage.map(Float.init), kernel, count: width, stride: 1, lines: height, lineStride: width)
    return filtered(
      rows, kernel, count: height, stride: width, lines: width, lineStride: 1)
  }

  private func filtered(
    _ values: [Float], _ kernel: [Float], count: Int, stride: Int, lines: Int, lineStride: Int
  ) -> [Float] {
    let reach = kernel.count / 2
    let (source, kernel) = (values.span, kernel.span)
    var result = [Float](repeating: 0, count: values.count)
    var target = result.mutableSpan
    for line in 0..<lines {
      let start = line * lineStride
      for place in 0..<count {
        var sum: Float = 0
        for offset in -reach...reach {
          let other = min(max(place + offset, 0), count - 1)
          sum += kernel[offset + reach] * source[start + other * stride]
        }
        target[start + place * stride] = sum
      }
    }
    return result
  }
}

extension PixelImage {
  /// The image with another one laid over it.
  ///
  /// Where the mask is 0 the pixels are this image's own, byte for byte.
  ///
  /// - Parameters:
  ///   - other: an image of the same size.
  ///   - mask: the weight of the other image, of the same size.
  /// - Precondition: all three have one size.
  public func overlaid(with other: PixelImage, where mask: ImageMask) -> PixelImage {
    precondition(
      width == other.width && height == other.height && width == mask.width
        && height == mask.height, "image, overlay and mask differ in size")
    var bytes = pixels
    var target = bytes.mutableSpan
    let (source, weights) = (other.pixels.span, mask.coverage.span)
    for place in weights.indices where weights[place] > 0 {
      let weight = UInt32(weights[place])
      for index in 3 * place..<3 * place + 3 {
        let mixed = weight * UInt32(source[index]) + (255 - weight) * UInt32(target[index])
        target[index] = UInt8(truncatingIfNeeded: (mixed + 127) / 255)
      }
    }
    return PixelImage(width: width, height: height, pixels: bytes)
  }

  /// A rectangle of the image.
  ///
  /// - Precondition: the rectangle lies within the image.
  public func cropped(to region: PixelRegion) -> PixelImage {
    precondition(
      region.x >= 0 && region.y >= 0 && region.x + region.width <= width
        && region.y + region.height <= height, "\(region) lies outside \(width)x\(height)")
    var bytes: [UInt8] = []
    bytes.reserveCapacity(3 * region.width * region.height)
    for y in region.y..<region.y + region.height {
      let start = 3 * (y * width + region.x)
      bytes += pixels[start..<start + 3 * region.width]
    }
    return PixelImage(width: region.width, height: region.height, pixels: bytes)
  }

  /// The image with another one in place of a rectangle of it.
  ///
  /// - Precondition: the other image lies within this one.
  public func replacing(x: Int, y: Int, with other: PixelImage) -> PixelImage {
    precondition(
      x >= 0 && y >= 0 && x + other.width <= width && y + other.height <= height,
      "\(other.width)x\(other.height) at (\(x), \(y)) lies outside \(width)x\(height)")
    var bytes = pixels
    for row in 0..<other.height {
      let start = 3 * ((y + row) * width + x)
      let source = 3 * row * other.width
      bytes.replaceSubrange(
        start..<start + 3 * other.width, with: other.pixels[source..<source + 3 * other.width])
    }
    return PixelImage(width: width, height: height, pixels: bytes)
  }
}

extension ImageMask {
  /// A rectangle of the mask.
  ///
  /// - Precondition: the rectangle lies within the mask.
  public func cropped(to region: PixelRegion) -> ImageMask {
    precondition(
      region.x >= 0 && region.y >= 0 && region.x + region.width <= width
        && region.y + region.height <= height, "\(region) lies outside \(width)x\(height)")
    let rows = (region.y..<region.y + region.height).flatMap { y in
      coverage[y * width + region.x..<y * width + region.x + region.width]
    }
    return ImageMask(width: region.width, height: region.height, coverage: rows)
  }
}
