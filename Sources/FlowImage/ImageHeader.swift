public import FlowCore

/// An image file's properties from its header, read without decoding pixels.
public struct ImageHeader: Equatable, Sendable {
  /// The width in pixels, as stored.
  public let width: Int
  /// The height in pixels, as stored.
  public let height: Int
  /// The approximate peak memory of decoding in bytes, without the file itself.
  public let decodingByteCount: Int

  /// Reads the header of a PNG or JPEG file.
  ///
  /// - Parameters:
  ///   - bytes: the file.
  ///   - maximumPixelCount: larger images are rejected.
  /// - Throws: `formatUnsupported` for other formats, `imageInvalid` if the header is damaged,
  ///   `imageTooLarge`.
  public init(
    of bytes: [UInt8], maximumPixelCount: Int = PixelImage.maximumPixelCount
  ) throws(MediaError) {
    let format = try ImageFormat(ofFileStarting: bytes)
    let bytesPerPixel: Int
    switch format {
    case .png:
      guard bytes.count >= 33 else {
        throw MediaError(code: .imageInvalid, message: "the PNG image ends within its header")
      }
      func number(at position: Int) -> Int {
        bytes[position..<position + 4].reduce(0) { $0 << 8 | Int($1) }
      }
      (width, height) = (number(at: 16), number(at: 20))
      // Pixels with alpha, plus the result without alpha or rotated.
      bytesPerPixel = 7
    case .jpeg:
      guard let frame = JPEGSegments(bytes).frame else {
        throw MediaError(code: .imageInvalid, message: "the JPEG image has no frame header")
      }
      (width, height) = (frame.width, frame.height)
      // All coefficients of a progressive file are in memory, 16 bits each.
      bytesPerPixel = frame.isProgressive ? 14 : 7
    }
    guard width > 0, height > 0 else {
      throw MediaError(code: .imageInvalid, message: "the image is \(width)x\(height) pixels")
    }
    guard width <= maximumPixelCount / height else {
      let name = format == .png ? "PNG" : "JPEG"
      throw MediaError(
        code: .imageTooLarge,
        message: "the \(name) image is \(width)x\(height), beyond \(maximumPixelCount) pixels")
    }
    decodingByteCount = bytesPerPixel * width * height
  }
}
