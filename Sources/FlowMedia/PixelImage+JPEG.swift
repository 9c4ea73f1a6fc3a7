internal import CTurboJPEG
public import FlowCore

extension PixelImage {
  /// The picture as a JPEG file.
  ///
  /// - Parameter quality: 1 to 100; from 90 on, colors keep the full resolution.
  public func jpeg(quality: Int) throws(MediaError) -> [UInt8] {
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
    let orientation = exif(inJPEG: bytes).map(EXIFOrientation.init(exif:)) ?? .topLeft
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

/// The EXIF block of a JPEG file, where there is one before the pixels (Exif 2.32, section 4.7.2).
private func exif(inJPEG bytes: [UInt8]) -> ArraySlice<UInt8>? {
  let mark = Array("Exif\0\0".utf8)
  var position = 2
  while position + 4 <= bytes.count, bytes[position] == 0xff {
    let marker = bytes[position + 1]
    // Any number of 0xff may stand before a marker.
    guard marker != 0xff else {
      position += 1
      continue
    }
    let end = position + 2 + Int(bytes[position + 2]) << 8 + Int(bytes[position + 3])
    guard marker != 0xda, end >= position + 4, end <= bytes.count else { return nil }
    let content = bytes[position + 4..<end]
    if marker == 0xe1, content.starts(with: mark) { return content.dropFirst(mark.count) }
    position = end
  }
  return nil
}
