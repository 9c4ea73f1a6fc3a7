package import FlowCore

/// How a network reads reference images: how many, and at which size each is encoded.
package struct ReferenceReading: Sendable {
  /// The maximum number of reference images.
  package let limit: Int
  private let sizing: Sizing

  private enum Sizing {
    /// Images above an area are resized to it; others keep their size. Both are cropped to the
    /// center in multiples that the network reads.
    case cropped(area: Int, smallestSide: Int, largestRatio: Double)
    /// Images are stretched to the size with the nearest aspect ratio.
    case preferred([PixelSize])
  }

  /// The size of one reference image.
  package struct Size: Equatable, Sendable {
    /// The size to which the image is resampled.
    package let resized: PixelSize
    /// The size of its center that is encoded.
    package let encoded: PixelSize
  }

  /// FLUX.2's (`Flux2ImageProcessor`): up to a million pixels, cropped to the center.
  ///
  /// diffusers has no limit of their number; 10 is the published one of the family.
  static let cropped = ReferenceReading(
    limit: 10, sizing: .cropped(area: 1024 * 1024, smallestSide: 64, largestRatio: 8))

  /// FLUX.1 Kontext's (`FluxKontextPipeline`): one image, in one of the sizes of its training.
  static let preferredSizes = ReferenceReading(
    limit: 1,
    sizing: .preferred(
      [
        (672, 1568), (688, 1504), (720, 1456), (752, 1392), (800, 1328), (832, 1248), (880, 1184),
        (944, 1104), (1024, 1024), (1104, 944), (1184, 880), (1248, 832), (1328, 800), (1392, 752),
        (1456, 720), (1504, 688), (1568, 672),
      ].map { PixelSize(width: $0.0, height: $0.1) }))

  /// The size at which an image is encoded.
  ///
  /// - Parameters:
  ///   - image: its own size in pixels.
  ///   - area: the maximum number of pixels, in the image's own aspect ratio; nil for the sizes of
  ///     the family's pipeline.
  ///   - multiple: the alignment of width and height in pixels.
  /// - Throws: `requestInvalid` for an image that is too small or too narrow.
  package func size(
    of image: PixelSize, area: Int?, multiple: Int
  ) throws(ModelError) -> Size {
    let resized: PixelSize
    switch sizing {
    case .cropped(let largestArea, let smallestSide, let largestRatio):
      let sides = [Double(image.width), Double(image.height)].sorted()
      guard sides[0] >= Double(smallestSide), sides[1] <= largestRatio * sides[0] else {
        throw refused(
          image,
          "at least \(smallestSide) pixels a side, and one side at most "
            + "\(Int(largestRatio)) times the other")
      }
      resized = image.reduced(toArea: area ?? largestArea)
      let encoded = resized.rounded(downTo: multiple)
      try check(encoded, of: image, multiple: multiple)
      return Size(resized: resized, encoded: encoded)
    case .preferred(let sizes):
      let own = image.rounded(downTo: multiple)
      try check(own, of: image, multiple: multiple)
      if let area {
        resized = image.reduced(toArea: area).rounded(downTo: multiple)
      } else {
        let ratio = own.ratio
        let nearest = sizes.min { abs(ratio - $0.ratio) < abs(ratio - $1.ratio) } ?? own
        resized = nearest.rounded(downTo: multiple)
      }
      try check(resized, of: image, multiple: multiple)
      return Size(resized: resized, encoded: resized)
    }
  }

  private func check(
    _ encoded: PixelSize, of image: PixelSize, multiple: Int
  ) throws(ModelError) {
    guard encoded.width >= multiple, encoded.height >= multiple else {
      throw refused(image, "at least \(multiple) pixels a side after resizing")
    }
  }

  private func refused(_ image: PixelSize, _ expected: String) -> ModelError {
    ModelError(
      code: .requestInvalid,
      message: "a reference image of this model has \(expected), got \(image)",
      settings: [.references])
  }
}

extension PixelSize {
  fileprivate var ratio: Double { Double(width) / Double(height) }

  /// The same aspect ratio with at most an area, rounded down as Pillow is called.
  fileprivate func reduced(toArea area: Int) -> PixelSize {
    guard width * height > area else { return self }
    let scale = (Double(area) / Double(width * height)).squareRoot()
    return PixelSize(width: Int(Double(width) * scale), height: Int(Double(height) * scale))
  }

  fileprivate func rounded(downTo multiple: Int) -> PixelSize {
    PixelSize(width: width / multiple * multiple, height: height / multiple * multiple)
  }
}
