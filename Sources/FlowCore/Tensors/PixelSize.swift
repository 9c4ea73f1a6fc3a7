/// The size of an image in pixels.
public struct PixelSize: Hashable, Codable, Sendable, CustomStringConvertible {
  /// The width in pixels.
  public var width: Int
  /// The height in pixels.
  public var height: Int

  /// Creates a size.
  ///
  /// - Parameters:
  ///   - width: the width in pixels.
  ///   - height: the height in pixels.
  public init(width: Int, height: Int) {
    self.width = width
    self.height = height
  }

  /// The size in the form `64x48`.
  public var description: String { "\(width)x\(height)" }
}
