/// The description of a tensor in the header of a safetensors file.
struct TensorEntry: Equatable {
  var type: String
  var dimensions: [Int]
  var begin: Int
  var end: Int
}

/// The JSON header of a safetensors file.
///
/// Parsed without Foundation's JSON, which silently keeps the last of two equal names: a header
/// that names a tensor twice must be rejected.
struct SafetensorsHeader {
  /// The tensors in the order of the file.
  private(set) var tensors: [(name: String, entry: TensorEntry)] = []
  /// The free-form texts in `__metadata__`.
  private(set) var metadata: [String: String] = [:]

  private var cursor: JSONCursor

  init(json: [UInt8]) throws(HeaderProblem) {
    cursor = JSONCursor(bytes: json)
    var names: Set<String> = []
    try cursor.object { (name, cursor) throws(HeaderProblem) in
      guard names.insert(name).inserted else {
        throw HeaderProblem("names '\(name)' twice")
      }
      if name == "__metadata__" {
        // Some writers write null for missing metadata.
        if cursor.takeNull() { return }
        try cursor.object { (key, cursor) throws(HeaderProblem) in
          metadata[key] = try cursor.string()
        }
      } else {
        tensors.append((name, try Self.entry(named: name, at: &cursor)))
      }
    }
    try cursor.expectEnd()
  }

  private static func entry(
    named name: String, at cursor: inout JSONCursor
  ) throws(HeaderProblem) -> TensorEntry {
    var type: String?
    var dimensions: [Int]?
    var offsets: [Int]?
    try cursor.object { (key, cursor) throws(HeaderProblem) in
      switch key {
      case "dtype" where type == nil: type = try cursor.string()
      case "shape" where dimensions == nil: dimensions = try cursor.integers()
      case "data_offsets" where offsets == nil: offsets = try cursor.integers()
      default: throw HeaderProblem("says '\(key)' of tensor '\(name)', once too often or unknown")
      }
    }
    guard let type, let dimensions, let offsets, offsets.count == 2 else {
      throw HeaderProblem("does not say dtype, shape and two data_offsets of tensor '\(name)'")
    }
    return TensorEntry(type: type, dimensions: dimensions, begin: offsets[0], end: offsets[1])
  }
}

/// An error in a header, as the end of a sentence that begins with the file.
struct HeaderProblem: Error {
  let words: String
  init(_ words: String) { self.words = words }
}

/// A parser for the subset of JSON in safetensors headers.
struct JSONCursor {
  private let bytes: [UInt8]
  private var position = 0

  init(bytes: [UInt8]) { self.bytes = bytes }

  mutating func object(
    _ member: (String, inout JSONCursor) throws(HeaderProblem) -> Void
  ) throws(HeaderProblem) {
    try expect("{")
    if take("}") { return }
    repeat {
      let name = try string()
      try expect(":")
      try member(name, &self)
    } while take(",")
    try expect("}")
  }

  mutating func integers() throws(HeaderProblem) -> [Int] {
    try expect("[")
    if take("]") { return [] }
    var values: [Int] = []
    repeat { values.append(try integer()) } while take(",")
    try expect("]")
    return values
  }

  mutating func string() throws(HeaderProblem) -> String {
    try expect("\"")
    var text: [UInt8] = []
    while true {
      switch try next() {
      case UInt8(ascii: "\""):
        guard let string = String(validating: text, as: UTF8.self) else {
          throw problem("a text that is not UTF-8")
        }
        return string
      case UInt8(ascii: "\\"): try text.append(contentsOf: escape())
      case let byte where byte < 0x20: throw problem("a control character in a text")
      case let byte: text.append(byte)
      }
    }
  }

  /// Consumes `null` if it is next.
  mutating func takeNull() -> Bool {
    skipSpace()
    guard bytes[position...].starts(with: "null".utf8) else { return false }
    position += 4
    return true
  }

  mutating func expectEnd() throws(HeaderProblem) {
    skipSpace()
    guard position == bytes.count else { throw problem("something after the end") }
  }

  private mutating func integer() throws(HeaderProblem) -> Int {
    skipSpace()
    var value = 0
    let start = position
    while position < bytes.count, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[position])
    {
      let (tens, overflow) = value.multipliedReportingOverflow(by: 10)
      let (sum, carry) = tens.addingReportingOverflow(Int(bytes[position] - UInt8(ascii: "0")))
      guard !overflow, !carry else { throw problem("a number beyond 64 bits") }
      value = sum
      position += 1
    }
    guard position > start else { throw problem("no integer") }
    guard position - start == 1 || bytes[start] != UInt8(ascii: "0") else {
      throw problem("a number that begins with 0")
    }
    return value
  }

  private mutating func escape() throws(HeaderProblem) -> [UInt8] {
    switch try next() {
    case UInt8(ascii: "\""): return [UInt8(ascii: "\"")]
    case UInt8(ascii: "\\"): return [UInt8(ascii: "\\")]
    case UInt8(ascii: "/"): return [UInt8(ascii: "/")]
    case UInt8(ascii: "b"): return [0x08]
    case UInt8(ascii: "f"): return [0x0c]
    case UInt8(ascii: "n"): return [0x0a]
    case UInt8(ascii: "r"): return [0x0d]
    case UInt8(ascii: "t"): return [0x09]
    case UInt8(ascii: "u"):
      var units = [try hexadecimalUnit()]
      if UTF16.isLeadSurrogate(units[0]) {
        guard try next() == UInt8(ascii: "\\"), try next() == UInt8(ascii: "u") else {
          throw problem("half a surrogate pair")
        }
        units.append(try hexadecimalUnit())
      }
      guard let text = String(validating: units, as: UTF16.self) else {
        throw problem("half a surrogate pair")
      }
      return Array(text.utf8)
    default: throw problem("an unknown escape")
    }
  }

  private mutating func hexadecimalUnit() throws(HeaderProblem) -> UInt16 {
    var unit: UInt16 = 0
    for _ in 0..<4 {
      guard let digit = Character(Unicode.Scalar(try next())).hexDigitValue else {
        throw problem("an unknown escape")
      }
      unit = unit << 4 | UInt16(digit)
    }
    return unit
  }

  private mutating func expect(_ character: Unicode.Scalar) throws(HeaderProblem) {
    guard take(character) else { throw problem("no '\(character)'") }
  }

  private mutating func take(_ character: Unicode.Scalar) -> Bool {
    skipSpace()
    guard position < bytes.count, bytes[position] == UInt8(ascii: character) else { return false }
    position += 1
    return true
  }

  private mutating func next() throws(HeaderProblem) -> UInt8 {
    guard position < bytes.count else { throw problem("no end") }
    defer { position += 1 }
    return bytes[position]
  }

  private mutating func skipSpace() {
    while position < bytes.count, [0x20, 0x09, 0x0a, 0x0d].contains(bytes[position]) {
      position += 1
    }
  }

  private func problem(_ what: String) -> HeaderProblem {
    HeaderProblem("has \(what) at byte \(position) of its JSON")
  }
}
