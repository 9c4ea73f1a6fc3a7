internal import CPNG
public import FlowCore

extension PixelImage {
  /// The image as a PNG file, with texts by keyword.
  ///
  /// - Parameter texts: keywords of 1 to 79 Latin letters, and any texts.
  public func png(texts: [(keyword: String, text: String)] = []) throws(MediaError) -> [UInt8] {
    var image = unsafe png_image()
    unsafe image.version = png_uint_32(PNG_IMAGE_VERSION)
    unsafe image.width = png_uint_32(width)
    unsafe image.height = png_uint_32(height)
    unsafe image.format = png_uint_32(PNG_FORMAT_FLAG_COLOR)
    // Deflate enlarges incompressible data by less than a sixth; asking libpng for the size first
    // would compress everything twice.
    var byteCount = (3 * width + 1) * height / 6 * 7 + 1024
    var bytes = [UInt8](repeating: 0, count: byteCount)
    guard unsafe png_image_write_to_memory(&image, &bytes, &byteCount, 0, pixels, 0, nil) != 0
    else {
      throw unsafe MediaError(code: .encodingFailed, message: "cannot write PNG: \(words(image))")
    }
    bytes.removeLast(bytes.count - byteCount)
    return PNGChunks.adding(texts, to: bytes)
  }

  /// Decodes a PNG file of any kind to upright 8-bit RGB.
  ///
  /// - Parameters:
  ///   - bytes: the file.
  ///   - background: the color under transparent pixels.
  ///   - maximumPixelCount: larger images are rejected before decoding.
  public init(
    png bytes: [UInt8], background: RGBColor = .white,
    maximumPixelCount: Int = PixelImage.maximumPixelCount
  ) throws(MediaError) {
    var image = unsafe png_image()
    unsafe image.version = png_uint_32(PNG_IMAGE_VERSION)
    defer { unsafe png_image_free(&image) }
    let bytes = PNGChunks.removingTexts(from: bytes)
    let orientation = PNGChunks.exif(in: bytes).map(EXIFOrientation.init(exif:)) ?? .topLeft
    // libpng reads from this memory until the image is freed, and this closure covers that time.
    let result = unsafe bytes.withUnsafeBytes { memory -> Result<PixelImage, MediaError> in
      guard unsafe png_image_begin_read_from_memory(&image, memory.baseAddress, memory.count) != 0
      else {
        return unsafe .failure(
          MediaError(code: .imageInvalid, message: "this is not a PNG image: \(words(image))"))
      }
      let (width, height) = unsafe (Int(image.width), Int(image.height))
      guard width > 0, height > 0, width <= maximumPixelCount / height else {
        return .failure(
          MediaError(
            code: .imageTooLarge,
            message: "the PNG image is \(width)x\(height), beyond \(maximumPixelCount) pixels"))
      }
      do throws(MediaError) { try PNGPixelData.checkLength(in: bytes) } catch {
        return .failure(error)
      }
      let isTransparent = unsafe image.format & png_uint_32(PNG_FORMAT_FLAG_ALPHA) != 0
      let channels = isTransparent ? 4 : 3
      unsafe image.format = png_uint_32(
        PNG_FORMAT_FLAG_COLOR | (isTransparent ? PNG_FORMAT_FLAG_ALPHA : 0))
      // By default, libpng treats 16-bit numbers as linear light, and the image becomes pale.
      unsafe image.flags |= png_uint_32(PNG_IMAGE_FLAG_16BIT_sRGB)
      var pixels = [UInt8](repeating: 0, count: channels * width * height)
      guard unsafe png_image_finish_read(&image, nil, &pixels, 0, nil) != 0 else {
        return unsafe .failure(
          MediaError(code: .imageInvalid, message: "the PNG image is damaged: \(words(image))"))
      }
      if isTransparent { pixels = background.underlying(pixels) }
      return .success(orientation.upright(pixels, width: width, height: height))
    }
    self = try result.get()
  }
}

/// libpng's message for the last failure.
private func words(_ image: png_image) -> String {
  let message = unsafe image.message
  return unsafe withUnsafeBytes(of: message) { bytes in
    unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
  }
}
