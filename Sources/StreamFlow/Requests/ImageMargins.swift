public import FlowCore

/// The pixels by which an image is extended at its edges: outpainting.
public struct ImageMargins: Hashable, Sendable {
  /// The pixels at the left edge, 0 or more.
  public var left: Int
  /// The pixels at the top edge, 0 or more.
  public var top: Int
  /// The pixels at the right edge, 0 or more.
  public var right: Int
  /// The pixels at the bottom edge, 0 or more.
  public var bottom: Int

  /// Creates margins.
  public init(left: Int = 0, top: Int = 0, right: Int = 0, bottom: Int = 0) {
    self.left = left
    self.top = top
    self.right = right
    self.bottom = bottom
  }

  /// An image extended by the margins, and the mask of the new pixels.
  ///
  /// The new pixels repeat the image's edge, from which denoising starts if its strength is below
  /// 1.
  ///
  /// - Parameters:
  ///   - image: the image, of which no side is 0.
  ///   - mask: where the image itself is repainted; nil for nowhere.
  /// - Precondition: no margin is negative.
  public func extend(
    _ image: PixelImage, mask: ImageMask? = nil
  ) -> (image: PixelImage, mask: ImageMask) {
    precondition(min(left, top, right, bottom) >= 0, "margins are 0 or more, got \(self)")
    let mask = mask?.stretched(width: image.width, height: image.height)
    let (width, height) = (left + image.width + right, top + image.height + bottom)
    var pixels: [UInt8] = []
    pixels.reserveCapacity(3 * width * height)
    var coverage = [UInt8](repeating: 255, count: width * height)
    for y in 0..<height {
      let row = min(max(y - top, 0), image.height - 1)
      let start = 3 * row * image.width
      let line = image.pixels[start..<start + 3 * image.width]
      for _ in 0..<left { pixels += line.prefix(3) }
      pixels += line
      for _ in 0..<right { pixels += line.suffix(3) }
      guard y >= top, y < top + image.height else { continue }
      let place = y * width + left
      let own = mask.map { Array($0.coverage[row * image.width..<(row + 1) * image.width]) }
      coverage.replaceSubrange(
        place..<place + image.width, with: own ?? [UInt8](repeating: 0, count: image.width))
    }
    return (
      PixelImage(width: width, height: height, pixels: pixels),
      ImageMask(width: width, height: height, coverage: coverage)
    )
  }
}
