public import FlowCore

extension PixelImage {
  /// The most pixels that are decoded unless told otherwise: 100 million, 300 MB.
  public static let maximumPixelCount = 100_000_000

  /// Decodes a PNG or JPEG file, whichever its first bytes say, as a viewer shows it.
  ///
  /// - Parameters:
  ///   - bytes: the file.
  ///   - background: the color under transparent places.
  ///   - maximumPixelCount: larger images are refused before anything is decoded.
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

  /// Reads a PNG or JPEG file, as a viewer shows it.
  ///
  /// - Parameters:
  ///   - path: the file's place.
  ///   - background: the color under transparent places.
  ///   - maximumPixelCount: larger images are refused before anything is decoded.
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
