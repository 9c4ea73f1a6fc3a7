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

  /// Decodes a JPEG file to 8-bit RGB; its orientation mark is not looked at.
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
    var pixels = [UInt8](repeating: 0, count: 3 * Int(width) * Int(height))
    guard
      unsafe tjDecompress2(
        handle, bytes, UInt(bytes.count), &pixels, width, 0, height, Int32(TJPF_RGB.rawValue),
        Int32(TJFLAG_STOPONWARNING)) == 0
    else { throw invalid() }
    self.init(width: Int(width), height: Int(height), pixels: pixels)
  }
}
