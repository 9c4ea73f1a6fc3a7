internal import CTurboJPEG
public import FlowCore

extension PixelImage {
  /// The image as a JPEG file.
  ///
  /// - Parameters:
  ///   - quality: 1 to 100; from 90 up, colors keep the full resolution.
  ///   - parameters: the generation settings, stored as the EXIF user comment like AUTOMATIC1111's
  ///     web UI does. Of a text longer than 32,737 UTF-16 units, the last line and the start of the
  ///     rest are stored.
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

  /// Decodes a color, grayscale or CMYK JPEG file to upright 8-bit RGB.
  ///
  /// Warnings of libjpeg that affect no pixels, such as extra bytes before the end marker, are
  /// ignored.
  ///
  /// - Parameters:
  ///   - bytes: the file.
  ///   - maximumPixelCount: larger images are rejected before decoding.
  /// - Throws: `imageTooLarge`; `imageInvalid` for a truncated or damaged file, or one with more
  ///   than 64 scans.
  public init(
    jpeg bytes: [UInt8], maximumPixelCount: Int = PixelImage.maximumPixelCount
  ) throws(MediaError) {
    guard let handle = unsafe tjInitDecompress() else {
      throw MediaError(code: .imageInvalid, message: "cannot start the JPEG decoder")
    }
    defer { unsafe tjDestroy(handle) }
    func words() -> String { unsafe String(cString: tjGetErrorStr2(handle)) }
    func invalid() -> MediaError {
      MediaError(
        code: .imageInvalid, message: "this is not a complete JPEG image: \(words())")
    }
    var (width, height, sampling, space) = (Int32(0), Int32(0), Int32(0), Int32(-1))
    // It also fails for warnings; the values that it read decide.
    let headerStatus = unsafe tjDecompressHeader3(
      handle, bytes, UInt(bytes.count), &width, &height, &sampling, &space)
    guard width > 0, height > 0, space >= 0 else {
      throw headerStatus == 0
        ? MediaError(code: .imageInvalid, message: "the JPEG image has no pixels") : invalid()
    }
    guard Int(width) <= maximumPixelCount / Int(height) else {
      throw MediaError(
        code: .imageTooLarge,
        message: "the JPEG image is \(width)x\(height), beyond \(maximumPixelCount) pixels")
    }
    let scans = JPEGScans(bytes)
    guard scans.count <= JPEGScans.maximumCount else {
      throw MediaError(
        code: .imageInvalid,
        message: "the JPEG image has more than \(JPEGScans.maximumCount) scans; save it again")
    }
    let isPrinted = space == Int32(TJCS_CMYK.rawValue) || space == Int32(TJCS_YCCK.rawValue)
    let (format, channels) = isPrinted ? (TJPF_CMYK, 4) : (TJPF_RGB, 3)
    var pixels = [UInt8](repeating: 0, count: channels * Int(width) * Int(height))
    func decode(_ flags: Int32) -> Bool {
      unsafe tjDecompress2(
        handle, bytes, UInt(bytes.count), &pixels, width, 0, height, Int32(format.rawValue),
        flags | TJFLAG_LIMITSCANS) == 0
    }
    if !decode(TJFLAG_STOPONWARNING) {
      let warning = words()
      guard unsafe tjGetErrorCode(handle) == Int32(TJERR_WARNING.rawValue), scans.isComplete,
        !isLoss(warning)
      else { throw invalid() }
      // Decodes again to the end: the same message means that nothing worse followed.
      guard decode(0) || words() == warning else { throw invalid() }
    }
    if isPrinted { pixels = colors(ofPrinted: pixels) }
    let orientation = JPEGSegments(bytes).exif.map(EXIFOrientation.init(exif:)) ?? .topLeft
    self = orientation.upright(pixels, width: Int(width), height: Int(height))
  }
}

/// Whether a libjpeg warning means that pixels are missing (`jerror.h`).
private func isLoss(_ warning: String) -> Bool {
  ["remature end", "bad Huffman code", "bad arithmetic code", "instead of RST"].contains {
    warning.contains($0)
  }
}

/// Converts CMYK to RGB: the white light that the inks do not absorb.
///
/// Inks are stored inverted, 255 for none, as in files of Adobe's programs; all readers expect
/// this.
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
