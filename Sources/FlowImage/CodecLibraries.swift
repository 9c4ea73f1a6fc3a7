internal import CPNG
internal import CTurboJPEG
internal import CZlib
internal import FlowCore

/// The libraries that read and write images.
public enum CodecLibraries {
  /// Their names and, where they state one, their versions: `libpng 1.6.48`.
  public static var descriptions: [String] {
    let png = unsafe png_get_libpng_ver(nil).map { unsafe " \(String(cString: $0))" } ?? ""
    let zlib = unsafe zlibVersion().map { unsafe " \(String(cString: $0))" } ?? ""
    return ["libpng\(png)", "zlib\(zlib)", "TurboJPEG"]
  }

  /// Writes and reads a small image in each format.
  ///
  /// - Throws: the error of the library that failed.
  public static func check() throws(MediaError) {
    let image = PixelImage(width: 8, height: 8, pixels: [UInt8](repeating: 128, count: 192))
    let read = try PixelImage(png: image.png())
    guard read == image else {
      throw MediaError(code: .encodingFailed, message: "libpng returned other pixels than it wrote")
    }
    let lossy = try PixelImage(jpeg: image.jpeg(quality: 92))
    guard (lossy.width, lossy.height) == (image.width, image.height) else {
      throw MediaError(code: .encodingFailed, message: "TurboJPEG returned another size")
    }
  }
}
