extension JSONParser {
  /// Parses a quoted string.
  mutating func string() throws(JSONError) -> String {
    position += 1
    let start = position
    // Escapes are rare: the text between them is copied in runs.
    var text: [UInt8] = []
    var copiedEnd = start
    while true {
      guard let byte = next else { throw expected("'\"'") }
      switch byte {
      case UInt8(ascii: "\""):
        text += bytes[copiedEnd..<position]
        position += 1
        guard let string = String(validating: text, as: UTF8.self) else {
          throw .syntax(offset: start, expected: "UTF-8 text")
        }
        return string
      case UInt8(ascii: "\\"):
        text += bytes[copiedEnd..<position]
        text.append(contentsOf: String(try escape()).utf8)
        copiedEnd = position
      case 0..<0x20:
        throw expected("no control character in a string (write it as \\u00XX)")
      default: position += 1
      }
    }
  }

  /// Parses a backslash escape.
  private mutating func escape() throws(JSONError) -> Unicode.Scalar {
    let start = position
    position += 1
    guard let byte = next else { throw expected("an escaped character") }
    position += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(byte)
    case UInt8(ascii: "b"): return "\u{8}"
    case UInt8(ascii: "f"): return "\u{C}"
    case UInt8(ascii: "n"): return "\n"
    case UInt8(ascii: "r"): return "\r"
    case UInt8(ascii: "t"): return "\t"
    case UInt8(ascii: "u"): break
    default:
      // The escapes of RFC 8259, section 7; each X is a hexadecimal digit.
      throw .syntax(offset: start, expected: "one of \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX")
    }
    let unit = try hexadecimal()
    if let scalar = Unicode.Scalar(unit) { return scalar }
    // Characters beyond the basic plane consist of two escapes (RFC 8259, section 7).
    guard (0xD800...0xDBFF).contains(unit), take("\\"), take("u") else {
      throw .syntax(offset: start, expected: "both halves of a surrogate pair")
    }
    let low = try hexadecimal()
    guard (0xDC00...0xDFFF).contains(low),
      let scalar = Unicode.Scalar(
        0x10000 + (UInt32(unit - 0xD800) << 10) + UInt32(low - 0xDC00))
    else { throw .syntax(offset: start, expected: "both halves of a surrogate pair") }
    return scalar
  }

  private mutating func hexadecimal() throws(JSONError) -> UInt16 {
    var value: UInt16 = 0
    for _ in 0..<4 {
      guard let byte = next, let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
        throw expected("a hexadecimal digit")
      }
      value = value << 4 | UInt16(digit)
      position += 1
    }
    return value
  }
}
