/// A header field's value and its parameters, such as `form-data; name="image"`.
///
/// In quoted values, `"` and `\` may be escaped with a backslash; before any other character a
/// backslash is literal, as in the paths that old browsers send.
struct HeaderParameters {
  /// The value before the parameters, in lower case.
  let value: String
  private var parameters: [String: String] = [:]

  /// The value of a parameter.
  subscript(_ name: String) -> String? { parameters[name] }

  /// Parses a value.
  ///
  /// - Parameters:
  ///   - text: the received value.
  ///   - field: the field's name, for errors.
  init(_ text: String, of field: String) throws(MultipartError) {
    let bytes = Array(text.utf8)
    var position = 0
    value = Self.text(bytes, upTo: ";", &position).lowercased()
    while position < bytes.count {
      position += 1  // the semicolon
      Self.skipBlanks(bytes, &position)
      guard position < bytes.count, bytes[position] != UInt8(ascii: ";") else { continue }
      let name = Self.text(bytes, upTo: "=", &position).lowercased()
      guard position < bytes.count, !name.isEmpty, name.utf8.allSatisfy(Self.isToken) else {
        throw MultipartError(
          "\(field): expected a parameter such as name=\"image\", got \(MultipartError.quote(name))"
        )
      }
      position += 1  // the equals sign
      Self.skipBlanks(bytes, &position)
      let value = try Self.parameter(bytes, &position, name: name, of: field)
      guard parameters.updateValue(value, forKey: name) == nil else {
        throw MultipartError("\(field): '\(name)' is given twice")
      }
    }
  }

  private static func parameter(
    _ bytes: [UInt8], _ position: inout Int, name: String, of field: String
  ) throws(MultipartError) -> String {
    guard position < bytes.count, bytes[position] == UInt8(ascii: "\"") else {
      return text(bytes, upTo: ";", &position)
    }
    position += 1
    var value: [UInt8] = []
    while position < bytes.count, bytes[position] != UInt8(ascii: "\"") {
      if bytes[position] == UInt8(ascii: "\\"), position + 1 < bytes.count,
        "\"\\".utf8.contains(bytes[position + 1])
      {
        position += 1
      }
      value.append(bytes[position])
      position += 1
    }
    guard position < bytes.count else {
      throw MultipartError("\(field): the quoted value of '\(name)' has no closing quote")
    }
    position += 1
    let rest = text(bytes, upTo: ";", &position)
    guard rest.isEmpty else {
      throw MultipartError(
        "\(field): expected ';' or the end after the quoted value of '\(name)', got "
          + MultipartError.quote(rest))
    }
    return String(decoding: value, as: UTF8.self)
  }

  /// The text up to a character or the end, without surrounding white space.
  private static func text(
    _ bytes: [UInt8], upTo end: Unicode.Scalar, _ position: inout Int
  ) -> String {
    skipBlanks(bytes, &position)
    let rest = bytes[position...].prefix { $0 != UInt8(ascii: end) }
    position = rest.endIndex
    let count = rest.reversed().drop(while: isBlank).count
    return String(decoding: rest.prefix(count), as: UTF8.self)
  }

  private static func skipBlanks(_ bytes: [UInt8], _ position: inout Int) {
    while position < bytes.count, isBlank(bytes[position]) { position += 1 }
  }

  static func isBlank(_ byte: UInt8) -> Bool {
    byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t")
  }

  /// Whether a name may contain a character (RFC 9110, 5.6.2).
  static func isToken(_ byte: UInt8) -> Bool {
    (0x21...0x7E).contains(byte) && !"\"(),/:;<=>?@[\\]{}".utf8.contains(byte)
  }
}
