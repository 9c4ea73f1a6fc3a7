/// The directories of a TIFF file, which is what an EXIF block is (TIFF 6.0, section 2).
///
/// Every offset comes from the file and is checked before it is used.
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
  /// Whether numbers are stored most significant byte first.
  let isBigEndian: Bool

  init?(_ bytes: ArraySlice<UInt8>) {
    self.bytes = bytes
    switch bytes.prefix(4) {
    case [0x4d, 0x4d, 0, 42]: isBigEndian = true
    case [0x49, 0x49, 42, 0]: isBigEndian = false
    default: return nil
    }
  }

  /// The value of a tag of the first directory that is one number of 16 or 32 bits.
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

  /// The bytes of a text tag: of the EXIF directory for a user comment, else of the first directory.
  func bytes(ofTag tag: Tag) -> ArraySlice<UInt8>? {
    let directory =
      tag == .userComment ? number(ofTag: .exifDirectory) : number(at: 4, size: 4)
    guard let entry = entry(of: tag, inDirectoryAt: directory.map(Int.init)),
      // Bytes, ASCII and undefined: types of one byte each.
      [1, 2, 7].contains(number(at: entry + 2, size: 2)),
      let count = number(at: entry + 4, size: 4).map(Int.init),
      // Up to four bytes are stored in place of the offset.
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
