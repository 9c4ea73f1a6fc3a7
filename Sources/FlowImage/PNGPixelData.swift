/// The compressed pixels of a PNG file.
enum PNGPixelData {
  /// The tolerated excess of a file's data over its pixels: libpng decompresses all of it.
  private static let tolerance = 64 << 10

  /// Checks that the compressed data is not larger than the pixels.
  ///
  /// - Precondition: libpng has accepted the header.
  static func checkLength(in bytes: [UInt8]) throws(MediaError) {
    let limit = byteCount(ofHeader: bytes) + tolerance
    let end = Inflation.decompress(parts(of: bytes), of: bytes, limit: limit) { _ in }
    guard end == .limited else { return }
    throw MediaError(
      code: .imageInvalid,
      message: "the PNG image holds more data than the \(limit - tolerance) bytes of its pixels; "
        + "save it again")
  }

  /// The ranges of the compressed data, up to the first damaged chunk.
  private static func parts(of bytes: [UInt8]) -> [Range<Int>] {
    PNGChunks.contents(of: "IDAT", in: bytes)
  }

  /// The bytes of all rows including their filter bytes (section 7.2).
  static func byteCount(ofHeader bytes: [UInt8]) -> Int {
    func number(at position: Int) -> Int {
      bytes[position..<position + 4].reduce(0) { $0 << 8 | Int($1) }
    }
    let (width, height) = (number(at: 16), number(at: 20))
    let samples = [0: 1, 2: 3, 3: 1, 4: 2, 6: 4][bytes[25]] ?? 4
    let bits = Int(bytes[24]) * samples
    func rows(_ columns: Int, _ rows: Int) -> Int {
      columns > 0 ? rows * (1 + (columns * bits + 7) / 8) : 0
    }
    guard bytes[28] == 1 else { return rows(width, height) }
    // Adam7: the start of each pass, and its steps (section 8.2).
    let passes = [
      (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2),
      (0, 1, 1, 2),
    ]
    return passes.reduce(0) { sum, pass in
      let (x, y, right, down) = pass
      return sum + rows((width - x + right - 1) / right, (height - y + down - 1) / down)
    }
  }
}
