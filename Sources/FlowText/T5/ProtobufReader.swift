/// Reads the fields of a protocol buffers message in the order of the file.
///
/// Every length is checked against the remaining bytes.
struct ProtobufReader {
  /// Why bytes are not a message, as the end of a sentence.
  struct Problem: Error {
    let words: String
  }

  /// The value of a field.
  enum Value {
    /// An integer, an enumeration value or a Boolean.
    case number(UInt64)
    /// 64 bits, such as a double.
    case double(UInt64)
    /// A text, bytes, or a nested message.
    case bytes(ArraySlice<UInt8>)
    /// 32 bits, such as a float.
    case float(UInt32)
  }

  private var left: ArraySlice<UInt8>

  init(_ bytes: ArraySlice<UInt8>) { left = bytes }

  /// The next field; nil after the last.
  mutating func next() throws(Problem) -> (field: UInt64, value: Value)? {
    guard !left.isEmpty else { return nil }
    let key = try number()
    switch key & 7 {
    case 0: return (key >> 3, .number(try number()))
    case 1: return (key >> 3, .double(try word(byteCount: 8)))
    case 2: return (key >> 3, .bytes(try take(try number())))
    case 5: return (key >> 3, .float(UInt32(truncatingIfNeeded: try word(byteCount: 4))))
    case let kind: throw Problem(words: "has a field of unknown kind \(kind)")
    }
  }

  /// A variable-length integer of up to 64 bits.
  private mutating func number() throws(Problem) -> UInt64 {
    var number: UInt64 = 0
    for shift in stride(from: UInt64(0), to: 70, by: 7) {
      guard let byte = left.popFirst() else { throw Problem(words: "ends within a number") }
      guard shift < 63 || byte < 2 else { break }
      number |= UInt64(byte & 0x7f) << shift
      if byte < 0x80 { return number }
    }
    throw Problem(words: "has a number of more than 64 bits")
  }

  private mutating func word(byteCount: Int) throws(Problem) -> UInt64 {
    try take(UInt64(byteCount)).reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }

  private mutating func take(_ count: UInt64) throws(Problem) -> ArraySlice<UInt8> {
    guard count <= UInt64(left.count) else {
      throw Problem(words: "has a field of \(count) bytes where \(left.count) are left")
    }
    defer { left = left.dropFirst(Int(count)) }
    return left.prefix(Int(count))
  }
}
