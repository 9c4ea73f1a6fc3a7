/// An image in memory: 8-bit RGB, row by row from the top left.
public struct PixelImage: Hashable, Sendable {
  /// The width in pixels.
  public let width: Int
  /// The height in pixels.
  public let height: Int
  /// Red, green and blue of each pixel: `3 * width * height` bytes.
  public let pixels: [UInt8]

  /// Creates an image from its bytes.
  ///
  /// - Precondition: there are `3 * width * height` bytes.
  public init(width: Int, height: Int, pixels: [UInt8]) {
    precondition(
      pixels.count == 3 * width * height,
      "\(width)x\(height) needs \(3 * width * height) bytes, got \(pixels.count)")
    self.width = width
    self.height = height
    self.pixels = pixels
  }
}
