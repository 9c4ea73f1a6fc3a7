/// The directories of a TIFF file, the structure of an EXIF block (TIFF 6.0, section 2).
///
/// Every offset in the file is validated before use.
struct TIFFFile {
  /// The tags that are read.
  enum Tag: UInt32 {
    case imageDescription = 0x010e
    case orientation = 0x0112
    /// The offset of the EXIF directory.
    case exifDirectory = 0x8769
    case userComment = 0x9286
  }

  private let bytes: ArraySlice<UInt8>
  /// Whether the byte order is big-endian.
  let isBigEndian: Bool

  init?(_ bytes: ArraySlice<UInt8>) {
    self.bytes = bytes
    switch bytes.prefix(4) {
    case [0x4d, 0x4d, 0, 42]: isBigEndian = true
    case [0x49, 0x49, 42, 0]: isBigEndian = false
    default: return nil
    }
  }

  /// The 16 or 32-bit value of a tag in the first directory.
  func number(ofTag tag: Tag) -> UInt32? {
    guard let entry = entry(of: tag, inDirectoryAt: number(at: 4, size: 4).map(Int.init)),
      number(at: entry + 4, size: 4) == 1
    else { return nil }
    switch number(at: entry + 2, size: 2) {
    case 3: return number(at: entry + 8, size: 2)
    case 4: return number(at: entry + 8, size: 4)
    default: return nil
    }
  }

  /// The bytes of a text tag: from the EXIF directory for a user comment, else from the first
  /// directory.
  func bytes(ofTag tag: Tag) -> ArraySlice<UInt8>? {
    let directory =
      tag == .userComment ? number(ofTag: .exifDirectory) : number(at: 4, size: 4)
    guard let entry = entry(of: tag, inDirectoryAt: directory.map(Int.init)),
      // The types bytes, ASCII and undefined, with one byte per element.
      [1, 2, 7].contains(number(at: entry + 2, size: 2)),
      let count = number(at: entry + 4, size: 4).map(Int.init),
      // Values of up to four bytes are stored in place of the offset.
      let start = count <= 4 ? entry + 8 : number(at: entry + 8, size: 4).map(Int.init),
      start <= bytes.count - count
    else { return nil }
    return bytes.dropFirst(start).prefix(count)
  }

  /// The offset of a tag's 12 bytes in a directory.
  private func entry(of tag: Tag, inDirectoryAt start: Int?) -> Int? {
    guard let start, let count = number(at: start, size: 2).map(Int.init) else { return nil }
    return (0..<count).lazy.map { start + 2 + 12 * $0 }
      .first { number(at: $0, size: 2) == tag.rawValue }
  }

  private func number(at offset: Int, size: Int) -> UInt32? {
    guard offset <= bytes.count - size else { return nil }
    let digits = bytes.dropFirst(offset).prefix(size)
    let ordered = isBigEndian ? Array(digits) : digits.reversed()
    return ordered.reduce(0) { $0 << 8 | UInt32($1) }
  }
}
