public import FlowCore

extension ImageMask {
  /// Decodes a mask that is drawn as an image: white is repainted, black or transparent is
  /// preserved.
  ///
  /// - Parameter bytes: a PNG or JPEG file.
  /// - Throws: `imageInvalid`, `formatUnsupported` or `imageTooLarge`, as `PixelImage(picture:)`.
  public init(drawn bytes: [UInt8]) throws(MediaError) {
    self.init(luma: try PixelImage(picture: bytes, background: .black))
  }

  /// Decodes the transparency of an image as a mask: transparent pixels are repainted, as OpenAI's API
  /// reads masks.
  ///
  /// - Parameter bytes: a PNG or JPEG file; an opaque one makes an empty mask.
  /// - Throws: `imageInvalid`, `formatUnsupported` or `imageTooLarge`, as `PixelImage(picture:)`.
  public init(transparencyOf bytes: [UInt8]) throws(MediaError) {
    // The difference between compositing over white and over black is exactly 255 * (1 - alpha).
    let (light, dark) = (
      try PixelImage(picture: bytes, background: .white),
      try PixelImage(picture: bytes, background: .black)
    )
    let (upper, lower) = (light.pixels.span, dark.pixels.span)
    self.init(
      width: light.width, height: light.height,
      coverage: (0..<light.width * light.height).map { upper[3 * $0] - lower[3 * $0] })
  }

  /// Reads a mask file that is drawn as an image.
  ///
  /// - Parameter path: a PNG or JPEG file.
  /// - Throws: a `MediaError` that names the file.
  public init(drawnAt path: String) throws(MediaError) {
    let bytes = try ImageFile.bytes(at: path)
    do { try self.init(drawn: bytes) } catch { throw error.reading(path) }
  }

  /// Reads the transparency of an image file.
  ///
  /// - Parameter path: a PNG or JPEG file.
  /// - Throws: a `MediaError` that names the file.
  public init(transparencyAt path: String) throws(MediaError) {
    let bytes = try ImageFile.bytes(at: path)
    do { try self.init(transparencyOf: bytes) } catch { throw error.reading(path) }
  }
}
