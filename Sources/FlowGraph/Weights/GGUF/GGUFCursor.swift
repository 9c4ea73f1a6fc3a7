/// Reads the header of a GGUF file sequentially, never beyond the end of the file.
struct GGUFCursor {
  /// The maximum header length in bytes; headers with large vocabularies take several million.
  static let maximumHeaderLength = 1 << 28
  /// The maximum name length of a tensor or a setting in bytes, as defined by the format.
  static let maximumNameLength = 65_535
  /// The maximum nesting depth of lists.
  private static let maximumDepth = 4
  /// The maximum length of a stored list; vocabularies are not needed.
  private static let maximumListCount = 64

  private let file: MappedFile
  private let end: Int
  private(set) var position = 0

  init(_ file: MappedFile) {
    self.file = file
    end = min(file.byteCount, Self.maximumHeaderLength)
  }

  mutating func integer<Word: FixedWidthInteger & BitwiseCopyable>(
    _ what: String, as type: Word.Type = Word.self
  ) throws(HeaderProblem) -> Word {
    let start = position
    try skip(MemoryLayout<Word>.size, what)
    return file.integer(at: start, as: type)
  }

  /// A count of items that take at least a number of bytes each.
  mutating func count(
    _ what: String, ofBytes least: Int, isLong: Bool = true
  ) throws(HeaderProblem) -> Int {
    let count =
      isLong ? try integer(what, as: UInt64.self) : UInt64(try integer(what, as: UInt32.self))
    guard count <= UInt64((end - position) / least) else {
      throw HeaderProblem(
        "names \(count) \(what) at byte \(position), more than the \(end - position) bytes that "
          + "follow can hold")
    }
    return Int(count)
  }

  mutating func text(_ what: String, limit: Int? = nil) throws(HeaderProblem) -> String {
    let count = try self.count("bytes of \(what)", ofBytes: 1)
    let start = position
    try skip(count, what)
    guard count <= limit ?? count else {
      throw HeaderProblem(
        "has \(what) of \(count) bytes at byte \(start), expected \(limit ?? 0) at most")
    }
    guard let text = String(validating: file.bytes(start..<position), as: UTF8.self) else {
      throw HeaderProblem("has \(what) at byte \(start) that is not UTF-8")
    }
    return text
  }

  /// A setting's value of a type.
  mutating func value(ofType type: UInt32, depth: Int = 0) throws(HeaderProblem) -> GGUF.Setting {
    let what = "a setting"
    switch type {
    case 0: return .integer(Int(try integer(what, as: UInt8.self)))
    case 1: return .integer(Int(try integer(what, as: Int8.self)))
    case 2: return .integer(Int(try integer(what, as: UInt16.self)))
    case 3: return .integer(Int(try integer(what, as: Int16.self)))
    case 4: return .integer(Int(try integer(what, as: UInt32.self)))
    case 5: return .integer(Int(try integer(what, as: Int32.self)))
    case 6: return .number(Double(Float(bitPattern: try integer(what))))
    case 7: return .bool(try integer(what, as: UInt8.self) != 0)
    case 8: return .text(try text(what))
    case 9: return try list(depth: depth)
    case 10: return .integer(Int(clamping: try integer(what, as: UInt64.self)))
    case 11: return .integer(Int(try integer(what, as: Int64.self)))
    case 12: return .number(Double(bitPattern: try integer(what)))
    default:
      throw HeaderProblem("has a setting of the type \(type) at byte \(position), expected 0 to 12")
    }
  }

  private mutating func list(depth: Int) throws(HeaderProblem) -> GGUF.Setting {
    guard depth < Self.maximumDepth else {
      throw HeaderProblem("has lists \(depth + 1) deep in lists at byte \(position)")
    }
    let type = try integer("the type of a list", as: UInt32.self)
    guard let least = Self.leastByteCount(ofType: type) else {
      throw HeaderProblem("has a list of the type \(type) at byte \(position), expected 0 to 12")
    }
    let count = try self.count("elements of a list", ofBytes: least)
    var elements: [GGUF.Setting] = []
    for _ in 0..<count {
      // The words of a vocabulary may be invalid UTF-8, and are not needed.
      if count > Self.maximumListCount, type == 8 {
        try skip(self.count("bytes of a word", ofBytes: 1), "a word")
        continue
      }
      let element = try value(ofType: type, depth: depth + 1)
      if count <= Self.maximumListCount { elements.append(element) }
    }
    return count > Self.maximumListCount ? .longList(count: count) : .list(elements)
  }

  private static func leastByteCount(ofType type: UInt32) -> Int? {
    switch type {
    case 0, 1, 7: 1
    case 2, 3: 2
    case 4, 5, 6: 4
    case 8, 10, 11, 12: 8
    case 9: 12
    default: nil
    }
  }

  private mutating func skip(_ count: Int, _ what: String) throws(HeaderProblem) {
    guard count <= end - position else {
      throw HeaderProblem(
        "ends within \(what) at byte \(position): expected \(count) bytes, got \(end - position)")
    }
    position += count
  }
}
