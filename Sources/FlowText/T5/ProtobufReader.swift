/// The fields of a message in the encoding of protocol buffers, in the order in which they stand.
///
/// Every length is checked against the bytes that are left.
struct ProtobufReader {
  /// Why bytes are not a message, as the end of a sentence.
  struct Problem: Error {
    let words: String
  }

  /// What a field holds.
  enum Value {
    /// A whole number, an enumeration's or a truth value.
    case number(UInt64)
    /// 64 bits, as a double has.
    case double(UInt64)
    /// A text, bytes, or a message of its own.
    case bytes(ArraySlice<UInt8>)
    /// 32 bits, as a float has.
    case float(UInt32)
  }

  private var left: ArraySlice<UInt8>

  init(_ bytes: ArraySlice<UInt8>) { left = bytes }

  /// The next field; nothing after the last.
  mutating func next() throws(Problem) -> (field: UInt64, value: Value)? {
    guard !left.isEmpty else { return nil }
    let key = try number()
    switch key & 7 {
    case 0: return (key >> 3, .number(try number()))
    case 1: return (key >> 3, .double(try word(byteCount: 8)))
    case 2: return (key >> 3, .bytes(try take(try number())))
    case 5: return (key >> 3, .float(UInt32(truncatingIfNeeded: try word(byteCount: 4))))
    case let kind: throw Problem(words: "has a field of kind \(kind), which is not known")
    }
  }

  /// A number of up to 64 bits, seven in a byte.
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
