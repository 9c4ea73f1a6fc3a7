/// Parses a JSON document (RFC 8259) in one pass, within limits.
///
/// The work is linear in the bytes read: each byte is read once, and parsing stops at the first
/// byte that exceeds a limit. A document of thousands of nested arrays is rejected at its ninth
/// byte. Foundation's decoder has no such limits, and can only find out the type of a value by
/// trying each type in turn.
struct JSONParser {
  private static let maximumNumberByteCount = 128

  let bytes: [UInt8]
  private let limits: JSONLimits
  /// The bytes read so far.
  var position = 0
  private var depth = 0
  private var valueCount = 0

  init(_ bytes: [UInt8], limits: JSONLimits) {
    self.bytes = bytes
    self.limits = limits
  }

  /// Parses a document.
  ///
  /// - Parameters:
  ///   - bytes: UTF-8 text; a byte-order mark is skipped.
  ///   - limits: the limits of size, depth and number of values.
  static func parse(
    _ bytes: some Collection<UInt8>, limits: JSONLimits
  ) throws(JSONError) -> JSONValue {
    guard bytes.count <= limits.byteCount else { throw .tooLarge(limit: limits.byteCount) }
    var parser = JSONParser(Array(bytes), limits: limits)
    return try parser.document()
  }

  /// Parses the whole document.
  mutating func document() throws(JSONError) -> JSONValue {
    if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { position = 3 }
    let value = try value()
    skipWhitespace()
    guard position == bytes.count else { throw expected("the end of the document") }
    return value
  }

  private mutating func value() throws(JSONError) -> JSONValue {
    skipWhitespace()
    valueCount += 1
    guard valueCount <= limits.valueCount else { throw .tooManyValues(limit: limits.valueCount) }
    guard let next else { throw expected("a value") }
    switch next {
    case UInt8(ascii: "{"): return try object()
    case UInt8(ascii: "["): return try array()
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "t"): return try literal("true", .bool(true))
    case UInt8(ascii: "f"): return try literal("false", .bool(false))
    case UInt8(ascii: "n"): return try literal("null", .null)
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try number()
    default: throw expected("a value")
    }
  }

  // MARK: - Arrays and objects

  private mutating func array() throws(JSONError) -> JSONValue {
    try descend()
    var values: [JSONValue] = []
    skipWhitespace()
    if !take("]") {
      repeat { values.append(try value()) } while try takesSeparator(before: "]")
    }
    depth -= 1
    return .array(values)
  }

  private mutating func object() throws(JSONError) -> JSONValue {
    try descend()
    var values: [String: JSONValue] = [:]
    skipWhitespace()
    if !take("}") {
      repeat {
        skipWhitespace()
        guard next == UInt8(ascii: "\"") else { throw expected("a name in quotes") }
        let name = try string()
        skipWhitespace()
        guard take(":") else { throw expected("':'") }
        let value = try value()
        // Parsers disagree on repeated names, so they are rejected.
        guard values.updateValue(value, forKey: name) == nil else { throw .repeatedName(name) }
      } while try takesSeparator(before: "}")
    }
    depth -= 1
    return .object(values)
  }

  private mutating func descend() throws(JSONError) {
    position += 1
    depth += 1
    guard depth <= limits.depth else { throw .tooDeep(limit: limits.depth) }
  }

  /// Whether a comma follows; otherwise the closing bracket was consumed.
  private mutating func takesSeparator(before end: Unicode.Scalar) throws(JSONError) -> Bool {
    skipWhitespace()
    if take(",") { return true }
    guard take(end) else { throw expected("',' or '\(end)'") }
    return false
  }

  // MARK: - Scalars

  private mutating func literal(
    _ text: String, _ value: JSONValue
  ) throws(JSONError) -> JSONValue {
    for byte in text.utf8 {
      guard next == byte else { throw expected("'\(text)'") }
      position += 1
    }
    return value
  }

  private mutating func number() throws(JSONError) -> JSONValue {
    let start = position
    _ = take("-")
    // A leading zero must be the only digit.
    if !take("0") { try digits() }
    let isWhole =
      next != UInt8(ascii: ".") && next != UInt8(ascii: "e") && next != UInt8(ascii: "E")
    if take(".") { try digits() }
    if take("e") || take("E") {
      if !take("+") { _ = take("-") }
      try digits()
    }
    guard position - start <= Self.maximumNumberByteCount else {
      throw .syntax(
        offset: start, expected: "a number of at most \(Self.maximumNumberByteCount) characters")
    }
    let text = String(decoding: bytes[start..<position], as: UTF8.self)
    if isWhole, let integer = Int64(text) { return .integer(integer) }
    if isWhole, let unsigned = UInt64(text) { return .unsigned(unsigned) }
    guard let number = Double(text), number.isFinite else {
      throw .syntax(offset: start, expected: "a number within the range of a 64-bit float")
    }
    return .number(number)
  }

  private mutating func digits() throws(JSONError) {
    let start = position
    while let byte = next, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) { position += 1 }
    guard position > start else { throw expected("a digit") }
  }

  // MARK: - Bytes

  /// The byte at the position; nil at the end.
  var next: UInt8? { position < bytes.count ? bytes[position] : nil }

  /// Consumes a character if it is next.
  mutating func take(_ character: Unicode.Scalar) -> Bool {
    guard next == UInt8(ascii: character) else { return false }
    position += 1
    return true
  }

  private mutating func skipWhitespace() {
    while let byte = next, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 {
      position += 1
    }
  }

  /// The error for an unexpected byte at the position.
  func expected(_ what: String) -> JSONError { .syntax(offset: position, expected: what) }
}
