public import FlowCore

extension PixelImage {
  /// The default maximum number of pixels of a decoded image: 100 million, 300 MB.
  public static let maximumPixelCount = 100_000_000

  /// Decodes a PNG or JPEG file, detected by its first bytes, for display.
  ///
  /// - Parameters:
  ///   - bytes: the file.
  ///   - background: the color under transparent pixels.
  ///   - maximumPixelCount: larger images are rejected before decoding.
  public init(
    picture bytes: [UInt8], background: RGBColor = .white,
    maximumPixelCount: Int = PixelImage.maximumPixelCount
  ) throws(MediaError) {
    switch try ImageFormat(ofFileStarting: bytes) {
    case .png:
      try self.init(png: bytes, background: background, maximumPixelCount: maximumPixelCount)
    case .jpeg: try self.init(jpeg: bytes, maximumPixelCount: maximumPixelCount)
    }
  }

  /// Reads a PNG or JPEG file for display.
  ///
  /// - Parameters:
  ///   - path: the path of the file.
  ///   - background: the color under transparent pixels.
  ///   - maximumPixelCount: larger images are rejected before decoding.
  public init(
    imageAt path: String, background: RGBColor = .white,
    maximumPixelCount: Int = PixelImage.maximumPixelCount
  ) throws(MediaError) {
    let bytes = try ImageFile.bytes(at: path)
    do {
      try self.init(picture: bytes, background: background, maximumPixelCount: maximumPixelCount)
    } catch { throw error.reading(path) }
  }
}
