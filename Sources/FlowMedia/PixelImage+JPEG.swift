internal import CTurboJPEG
public import FlowCore

extension PixelImage {
  /// The picture as a JPEG file.
  ///
  /// - Parameters:
  ///   - quality: 1 to 100; from 90 on, colors keep the full resolution.
  ///   - parameters: the generation settings, stored as the EXIF user comment, where AUTOMATIC1111's
  ///     web UI and others look for them. Of a text beyond 32,737 UTF-16 units the last line and the
  ///     start of the others are stored.
  public func jpeg(quality: Int, parameters: String? = nil) throws(MediaError) -> [UInt8] {
    let bytes = try jpegWithoutText(quality: quality)
    guard let parameters else { return bytes }
    return JPEGSegments.adding(exif: UserComment.exif(of: parameters), to: bytes)
  }

  private func jpegWithoutText(quality: Int) throws(MediaError) -> [UInt8] {
    precondition((1...100).contains(quality), "quality is 1 to 100, got \(quality)")
    guard let handle = unsafe tjInitCompress() else {
      throw MediaError(code: .encodingFailed, message: "cannot start the JPEG encoder")
    }
    defer { unsafe tjDestroy(handle) }
    var buffer: UnsafeMutablePointer<UInt8>?
    var byteCount: UInt = 0
    let sampling = quality >= 90 ? TJSAMP_444 : TJSAMP_420
    let status = unsafe tjCompress2(
      handle, pixels, Int32(width), 0, Int32(height), Int32(TJPF_RGB.rawValue), &buffer, &byteCount,
      Int32(sampling.rawValue), Int32(quality), 0)
    defer { unsafe tjFree(buffer) }
    guard status == 0, let buffer = unsafe buffer else {
      throw MediaError(
        code: .encodingFailed,
        message: "cannot write JPEG: \(unsafe String(cString: tjGetErrorStr2(handle)))")
    }
    return unsafe Array(UnsafeBufferPointer(start: buffer, count: Int(byteCount)))
  }

  /// Decodes a JPEG file of colors, grays or printing colors to 8-bit RGB, turned upright.
  ///
  /// - Parameters:
  ///   - bytes: the file.
  ///   - maximumPixelCount: larger pictures are refused before anything is decoded.
  public init(
    jpeg bytes: [UInt8], maximumPixelCount: Int = PixelImage.maximumPixelCount
  ) throws(MediaError) {
    guard let handle = unsafe tjInitDecompress() else {
      throw MediaError(code: .pictureInvalid, message: "cannot start the JPEG decoder")
    }
    defer { unsafe tjDestroy(handle) }
    func invalid() -> MediaError {
      MediaError(
        code: .pictureInvalid,
        message: "this is no whole JPEG picture: \(unsafe String(cString: tjGetErrorStr2(handle)))")
    }
    var (width, height, sampling, space) = (Int32(0), Int32(0), Int32(0), Int32(0))
    guard
      unsafe tjDecompressHeader3(
        handle, bytes, UInt(bytes.count), &width, &height, &sampling, &space) == 0
    else { throw invalid() }
    guard width > 0, height > 0, Int(width) <= maximumPixelCount / Int(height) else {
      throw MediaError(
        code: .pictureTooLarge,
        message: "the JPEG picture is \(width)x\(height), beyond \(maximumPixelCount) pixels")
    }
    let isPrinted = space == Int32(TJCS_CMYK.rawValue) || space == Int32(TJCS_YCCK.rawValue)
    let (format, channels) = isPrinted ? (TJPF_CMYK, 4) : (TJPF_RGB, 3)
    var pixels = [UInt8](repeating: 0, count: channels * Int(width) * Int(height))
    guard
      unsafe tjDecompress2(
        handle, bytes, UInt(bytes.count), &pixels, width, 0, height, Int32(format.rawValue),
        Int32(TJFLAG_STOPONWARNING)) == 0
    else { throw invalid() }
    if isPrinted { pixels = colors(ofPrinted: pixels) }
    let orientation = JPEGSegments(bytes).exif.map(EXIFOrientation.init(exif:)) ?? .topLeft
    self = orientation.upright(pixels, width: Int(width), height: Int(height))
  }
}

/// What remains of white light under cyan, magenta, yellow and black ink.
///
/// Inks are stored inverted, 255 for none, as Adobe's programs write them and all readers expect.
private func colors(ofPrinted inks: [UInt8]) -> [UInt8] {
  var colors = [UInt8](repeating: 0, count: inks.count / 4 * 3)
  let source = inks.span
  var target = colors.mutableSpan
  for pixel in 0..<source.count / 4 {
    let black = Int(source[4 * pixel + 3])
    for channel in 0..<3 {
      target[3 * pixel + channel] = UInt8((Int(source[4 * pixel + channel]) * black + 127) / 255)
    }
  }
  return colors
}
