/// A supported image format.
enum ImageFormat {
  case png
  case jpeg

  /// Detects a format by a file's first bytes, independently of its name.
  init(ofFileStarting bytes: some Collection<UInt8>) throws(MediaError) {
    let start = Array(bytes.prefix(Self.startCount))
    if PNGChunks.isPNG(start) {
      self = .png
    } else if start.starts(with: [0xff, 0xd8, 0xff]) {
      self = .jpeg
    } else {
      throw MediaError(
        code: .formatUnsupported,
        message: "this is \(Self.name(ofFileStarting: start)); PNG and JPEG images are read")
    }
  }

  /// The number of bytes that suffice to detect all formats listed here.
  static let startCount = 16

  /// A description of an unsupported file, by its first bytes.
  private static func name(ofFileStarting start: [UInt8]) -> String {
    func has(_ text: String, at offset: Int = 0) -> Bool {
      start.dropFirst(offset).starts(with: text.utf8)
    }
    if start.isEmpty { return "an empty file" }
    if has("GIF8") { return "a GIF image" }
    if has("RIFF"), has("WEBP", at: 8) { return "a WebP image" }
    if has("ftypavi", at: 4) { return "an AVIF image" }
    if has("ftyphei", at: 4) || has("ftypmif1", at: 4) { return "a HEIF image" }
    if has("ftyp", at: 4) { return "a video (MP4 or QuickTime)" }
    if has("RIFF"), has("AVI ", at: 8) { return "a video (AVI)" }
    if start.starts(with: [0x1a, 0x45, 0xdf, 0xa3]) { return "a video (Matroska or WebM)" }
    if has("II*\0") || has("MM\0*") { return "a TIFF image" }
    if has("BM") { return "a BMP image" }
    if has("8BPS") { return "a Photoshop image" }
    if has("JXL ", at: 4) || start.starts(with: [0xff, 0x0a]) { return "a JPEG XL image" }
    if has("jP  ", at: 4) { return "a JPEG 2000 image" }
    if start.starts(with: [0, 0, 1, 0]) { return "a Windows icon" }
    if start.count > 2, has("P"), (0x31...0x37).contains(start[1]) { return "a PNM image" }
    if has("%PDF") { return "a PDF document" }
    if has("<svg") || has("<?xml") { return "an SVG or XML file" }
    let digits = start.prefix(8).map { byte in
      let digits = String(byte, radix: 16)
      return digits.count == 1 ? "0\(digits)" : digits
    }
    return "a file of an unknown format (it begins with \(digits.joined(separator: " ")))"
  }
}
