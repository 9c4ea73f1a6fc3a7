/// The EXIF user comment, in which AUTOMATIC1111's web UI and others store an image's settings in
/// JPEG files (Exif 2.32, section 4.6.5).
enum UserComment {
  private static let unicode = Array("UNICODE\0".utf8)
  private static let ascii = Array("ASCII\0\0\0".utf8)

  /// The offset of the comment in ``exif(of:)``: a header and two directories of one entry.
  private static let offset = 8 + 18 + 18
  /// The maximum length of the text in bytes: a segment's 16-bit length includes itself.
  static let capacity = 65_535 - 2 - JPEGSegments.exifMark.count - offset - unicode.count

  // MARK: - Reading

  /// The text of an EXIF block's user comment; nil if it is absent, blank or in an unsupported
  /// character set.
  static func text(inEXIF exif: ArraySlice<UInt8>) -> String? {
    guard let file = TIFFFile(exif), let bytes = file.bytes(ofTag: .userComment) else { return nil }
    let content = bytes.dropFirst(unicode.count)
    let text: String? =
      if bytes.starts(with: unicode) {
        utf16(Array(content), isBigEndian: file.isBigEndian)
      } else if bytes.starts(with: ascii) || bytes.starts(with: [UInt8](repeating: 0, count: 8)) {
        String(decoding: content, as: UTF8.self)
      } else {
        // Some programs omit the character set.
        String(validating: bytes, as: UTF8.self)
      }
    return text.flatMap(trimmed)
  }

  /// A text without trailing spaces and zeros; nil if the rest is empty.
  static func trimmed(_ text: String) -> String? {
    var scalars = text.unicodeScalars[...]
    while let last = scalars.last, last == "\0" || last.properties.isWhitespace {
      scalars.removeLast()
    }
    return scalars.isEmpty ? nil : String(scalars)
  }

  /// Decodes UTF-16 of either byte order.
  ///
  /// The byte order should be the file's, but some programs use the other one. A byte order mark
  /// decides, else the position of most zero bytes, since most texts contain ASCII.
  private static func utf16(_ bytes: [UInt8], isBigEndian: Bool) -> String {
    let pairs = stride(from: 0, to: bytes.count - 1, by: 2).map { (bytes[$0], bytes[$0 + 1]) }
    let highZeros = pairs.count { $0.0 == 0 && $0.1 != 0 }
    let lowZeros = pairs.count { $0.0 != 0 && $0.1 == 0 }
    var isHighFirst = highZeros == lowZeros ? isBigEndian : highZeros > lowZeros
    var units = pairs[...]
    if let first = pairs.first, first == (0xfe, 0xff) || first == (0xff, 0xfe) {
      isHighFirst = first.0 == 0xfe
      units.removeFirst()
    }
    return String(
      decoding: units.map {
        UInt16(isHighFirst ? $0.0 : $0.1) << 8 | UInt16(isHighFirst ? $0.1 : $0.0)
      },
      as: UTF16.self)
  }

  // MARK: - Writing

  /// An EXIF block with only a user comment, in big-endian UTF-16 as written by piexif.
  ///
  /// A non-ASCII text of more than 32,737 UTF-16 units is truncated before its last line, which
  /// contains the settings.
  static func exif(of text: String) -> [UInt8] {
    let comment: [UInt8]
    if text.utf16.count > capacity / 2, text.utf8.count <= capacity,
      text.utf8.allSatisfy({ $0 < 128 })
    {
      comment = ascii + Array(text.utf8)
    } else {
      comment = unicode + shortened(text).utf16.flatMap { [UInt8($0 >> 8), UInt8($0 & 0xff)] }
    }
    func directory(_ tag: TIFFFile.Tag, type: UInt16, count: UInt32, value: UInt32) -> [UInt8] {
      bigEndian(UInt16(1)) + bigEndian(UInt16(tag.rawValue)) + bigEndian(type) + bigEndian(count)
        + bigEndian(value) + bigEndian(UInt32(0))
    }
    return [0x4d, 0x4d, 0, 42] + bigEndian(UInt32(8))
      + directory(.exifDirectory, type: 4, count: 1, value: 26)
      + directory(.userComment, type: 7, count: UInt32(comment.count), value: UInt32(offset))
      + comment
  }

  private static func shortened(_ text: String) -> String {
    guard text.utf16.count > capacity / 2 else { return text }
    let start = text.lastIndex(of: "\n") ?? text.endIndex
    var end = String(text[start...])
    if end.utf16.count > capacity / 4 { end = "" }
    let mark = "..."
    var room = capacity / 2 - end.utf16.count - mark.utf16.count
    let kept = text[..<start].unicodeScalars.prefix { scalar in
      room -= UTF16.width(scalar)
      return room >= 0
    }
    return String(kept) + mark + end
  }

  private static func bigEndian<Word: FixedWidthInteger>(_ word: Word) -> [UInt8] {
    stride(from: Word.bitWidth - 8, through: 0, by: -8).map {
      UInt8(truncatingIfNeeded: word >> Word($0))
    }
  }
}
