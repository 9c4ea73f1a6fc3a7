/// The text of a file in UTF-8, or in the encoding (UTF-8, UTF-16, UTF-32) of its byte-order mark.
public struct DecodedText: Equatable, Sendable {
  /// Why bytes could not be decoded, with the line.
  public struct Problem: Error, Equatable, Sendable {
    /// The line with the first byte that is not text, from 1.
    public let line: Int
    /// The message, such as `line 3 is not UTF-8 (byte 0xE9)`.
    public let message: String
  }

  /// The text without the mark.
  public let text: String

  /// Decodes bytes.
  ///
  /// - Throws: ``Problem`` if bytes are invalid in the encoding, or a character is NUL.
  public init(_ bytes: [UInt8]) throws(Problem) {
    text =
      if bytes.starts(with: [0xff, 0xfe, 0, 0]) {
        try Self.utf32(bytes.dropFirst(4), isBig: false)
      } else if bytes.starts(with: [0, 0, 0xfe, 0xff]) {
        try Self.utf32(bytes.dropFirst(4), isBig: true)
      } else if bytes.starts(with: [0xff, 0xfe]) {
        try Self.utf16(bytes.dropFirst(2), isBig: false)
      } else if bytes.starts(with: [0xfe, 0xff]) {
        try Self.utf16(bytes.dropFirst(2), isBig: true)
      } else {
        try Self.utf8(bytes.starts(with: [0xef, 0xbb, 0xbf]) ? bytes.dropFirst(3) : bytes[...])
      }
  }

  private static func utf8(_ bytes: ArraySlice<UInt8>) throws(Problem) -> String {
    // NUL is checked first: UTF-16 without a byte-order mark is mostly valid UTF-8.
    if let null = bytes.firstIndex(of: 0) {
      let hint = "save the file as UTF-8, or as UTF-16 with a byte-order mark"
      throw problem("has a NUL byte and is not text; \(hint)", after: bytes[..<null])
    }
    if let text = String(validating: bytes, as: UTF8.self) { return text }
    var decoder = UTF8()
    var iterator = bytes.makeIterator()
    var valid = ""
    decoding: while true {
      switch decoder.decode(&iterator) {
      case .scalarValue(let scalar): valid.unicodeScalars.append(scalar)
      case .emptyInput, .error: break decoding
      }
    }
    let end = bytes.startIndex + valid.utf8.count
    let byte = end < bytes.endIndex ? String(bytes[end], radix: 16, uppercase: true) : "end"
    throw problem("is not UTF-8 (byte 0x\(byte)); save the file as UTF-8", after: bytes[..<end])
  }

  private static func utf16(_ bytes: ArraySlice<UInt8>, isBig: Bool) throws(Problem) -> String {
    let units = words(bytes, size: 2, isBig: isBig).map { UInt16(truncatingIfNeeded: $0) }
    var text = String.UnicodeScalarView()
    var decoder = UTF16()
    var iterator = units.makeIterator()
    while true {
      switch decoder.decode(&iterator) {
      case .scalarValue(let scalar) where scalar != "\0": text.append(scalar)
      case .emptyInput where bytes.count.isMultiple(of: 2): return String(text)
      case .scalarValue, .emptyInput, .error:
        throw problem("is not UTF-16; save the file as UTF-8", after: String(text))
      }
    }
  }

  private static func utf32(_ bytes: ArraySlice<UInt8>, isBig: Bool) throws(Problem) -> String {
    var text = String.UnicodeScalarView()
    for word in words(bytes, size: 4, isBig: isBig) {
      guard word != 0, let scalar = Unicode.Scalar(word) else {
        throw problem("is not UTF-32; save the file as UTF-8", after: String(text))
      }
      text.append(scalar)
    }
    guard bytes.count.isMultiple(of: 4) else {
      throw problem("is not UTF-32; save the file as UTF-8", after: String(text))
    }
    return String(text)
  }

  /// Complete words of bytes; an incomplete word at the end is ignored.
  private static func words(_ bytes: ArraySlice<UInt8>, size: Int, isBig: Bool) -> [UInt32] {
    stride(from: bytes.startIndex, to: bytes.endIndex - size + 1, by: size).map { start in
      let word = bytes[start..<start + size]
      return (isBig ? Array(word) : word.reversed()).reduce(0) { $0 << 8 | UInt32($1) }
    }
  }

  private static func problem(_ words: String, after bytes: ArraySlice<UInt8>) -> Problem {
    problem(words, after: String(decoding: bytes, as: UTF8.self))
  }

  private static func problem(_ words: String, after text: String) -> Problem {
    let line = text.count(where: \.isNewline) + 1
    return Problem(line: line, message: "line \(line) \(words)")
  }
}
