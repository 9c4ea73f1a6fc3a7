/// The text and EXIF chunks of a PNG file (PNG specification, third edition, section 5).
public enum PNGChunks {
  private static let signature: [UInt8] = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]
  /// The signature, and the header chunk with its 13 bytes.
  private static let headerEnd = 8 + 12 + 13

  /// Whether bytes start with PNG's signature.
  public static func isPNG(_ bytes: [UInt8]) -> Bool { bytes.starts(with: signature) }

  private static let textTypes = ["tEXt", "zTXt", "iTXt"]
  /// The maximum total size of a file's decompressed texts in bytes.
  private static let textLimit = 8 << 20

  /// The texts of a PNG file in order, including valid compressed ones up to a total of 8 MB.
  public static func texts(in bytes: [UInt8]) throws(MediaError) -> [(
    keyword: String, text: String
  )] {
    guard isPNG(bytes) else {
      throw MediaError(code: .imageInvalid, message: "this is not a PNG image")
    }
    var texts: [(keyword: String, text: String)] = []
    var room = textLimit
    var position = signature.count
    while position < bytes.count {
      let chunk = try chunk(in: bytes, at: position)
      guard
        word(bytes, at: chunk.end - 4) == Inflation.checksum(bytes[position + 4..<chunk.end - 4])
      else {
        throw damaged(at: position)
      }
      if let text = text(type: chunk.type, chunk.content, of: bytes, room: &room) {
        texts.append(text)
      }
      position = chunk.end
      if chunk.type == "IEND" { break }
    }
    return texts
  }

  /// The EXIF block of a PNG file, if there is one and the file is valid up to it.
  static func exif(in bytes: [UInt8]) -> ArraySlice<UInt8>? {
    var position = signature.count
    while position < bytes.count, let chunk = try? chunk(in: bytes, at: position) {
      if chunk.type == "eXIf" { return chunk.content }
      position = chunk.end
    }
    return nil
  }

  /// A file without the texts after its header.
  ///
  /// libpng limits the decompression of each text, but not of all.
  ///
  /// A damaged end is left unchanged.
  static func removingTexts(from bytes: [UInt8]) -> [UInt8] {
    var kept: [Range<Int>] = []
    var (start, position) = (0, headerEnd)
    while position < bytes.count, let chunk = try? chunk(in: bytes, at: position) {
      if textTypes.contains(chunk.type) {
        kept.append(start..<position)
        start = chunk.end
      }
      position = chunk.end
    }
    guard start > 0 else { return bytes }
    return kept.flatMap { bytes[$0] } + bytes[start...]
  }

  /// The contents of all chunks of a type, up to the first damaged chunk.
  static func contents(of type: String, in bytes: [UInt8]) -> [Range<Int>] {
    var contents: [Range<Int>] = []
    var position = signature.count
    while position < bytes.count, let chunk = try? chunk(in: bytes, at: position) {
      if chunk.type == type { contents.append(chunk.content.indices) }
      position = chunk.end
    }
    return contents
  }

  private static func chunk(
    in bytes: [UInt8], at position: Int
  ) throws(MediaError) -> (type: String, content: ArraySlice<UInt8>, end: Int) {
    guard position + 12 <= bytes.count else { throw damaged(at: position) }
    let length = Int(word(bytes, at: position))
    guard length <= bytes.count - position - 12 else { throw damaged(at: position) }
    let type = String(decoding: bytes[position + 4..<position + 8], as: UTF8.self)
    return (type, bytes[position + 8..<position + 8 + length], position + 12 + length)
  }

  /// A PNG file with texts after its header.
  ///
  /// - Precondition: the bytes are a PNG file, and keywords have 1 to 79 Latin letters.
  static func adding(_ texts: [(keyword: String, text: String)], to bytes: [UInt8]) -> [UInt8] {
    precondition(bytes.count > headerEnd && isPNG(bytes), "no PNG file")
    let chunks = texts.flatMap { keyword, text in
      precondition((1...79).contains(keyword.utf8.count), "a keyword has 1 to 79 letters")
      return chunk(for: keyword, text)
    }
    return bytes[..<headerEnd] + chunks + bytes[headerEnd...]
  }

  /// `tEXt` if Latin letters suffice, else `iTXt` in UTF-8.
  private static func chunk(for keyword: String, _ text: String) -> [UInt8] {
    let latin = text.unicodeScalars.compactMap { UInt8(exactly: $0.value) }
    let isLatin = latin.count == text.unicodeScalars.count
    let type = isLatin ? "tEXt" : "iTXt"
    let content = isLatin ? [0] + latin : [0, 0, 0, 0, 0] + Array(text.utf8)
    let body = Array(type.utf8) + Array(keyword.utf8) + content
    return bigEndian(UInt32(body.count - 4)) + body + bigEndian(Inflation.checksum(body[...]))
  }

  private static func text(
    type: String, _ content: ArraySlice<UInt8>, of bytes: [UInt8], room: inout Int
  ) -> (keyword: String, text: String)? {
    guard textTypes.contains(type), let end = content.firstIndex(of: 0) else { return nil }
    let keyword = latin(content[..<end])
    let rest = content[(end + 1)...]
    func decompressed(_ data: ArraySlice<UInt8>) -> [UInt8]? {
      Inflation.text(data.indices, of: bytes, room: &room)
    }
    switch type {
    case "tEXt": return (keyword, latin(rest))
    case "zTXt":
      // Method 0 is the only compression method.
      guard rest.first == 0, let text = decompressed(rest.dropFirst()) else { return nil }
      return (keyword, latin(text[...]))
    default:
      // Compression flag and method, followed by language and translated keyword, both
      // zero-terminated.
      guard rest.count >= 2, let flag = rest.first, flag < 2 else { return nil }
      let parts = rest.dropFirst(2)
        .split(separator: 0, maxSplits: 2, omittingEmptySubsequences: false)
      guard parts.count == 3, let text = flag == 0 ? Array(parts[2]) : decompressed(parts[2])
      else { return nil }
      return (keyword, String(decoding: text, as: UTF8.self))
    }
  }

  private static func latin(_ bytes: ArraySlice<UInt8>) -> String {
    bytes.reduce(into: "") { $0.unicodeScalars.append(Unicode.Scalar($1)) }
  }

  private static func damaged(at position: Int) -> MediaError {
    MediaError(
      code: .imageInvalid, message: "the PNG image is damaged or cut short at byte \(position)")
  }

  private static func word(_ bytes: [UInt8], at position: Int) -> UInt32 {
    bytes[position..<position + 4].reduce(0) { $0 << 8 | UInt32($1) }
  }

  private static func bigEndian(_ word: UInt32) -> [UInt8] {
    [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: word >> $0) }
  }
}
