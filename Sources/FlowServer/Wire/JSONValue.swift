/// A JSON value of a request.
enum JSONValue: Equatable, Sendable {
  case null
  case bool(Bool)
  case integer(Int64)
  case unsigned(UInt64)
  case number(Double)
  case string(String)
  case array([JSONValue])
  case object([String: JSONValue])

  /// What it is, in a word.
  var kind: String {
    switch self {
    case .null: "null"
    case .bool: "a boolean"
    case .integer, .unsigned, .number: "a number"
    case .string: "a string"
    case .array: "an array"
    case .object: "an object"
    }
  }
}

/// Limits of a JSON document that a client sends.
struct JSONLimits: Equatable, Sendable {
  /// The most bytes.
  var byteCount: Int
  /// The most arrays and objects around a value; the outermost one counts.
  var depth = 8
  /// The most values: each scalar, array and object counts as one.
  var valueCount: Int
}

/// Why a JSON document was refused.
enum JSONError: Error, Equatable, Sendable {
  /// Something else was expected at a byte, counted from 0.
  case syntax(offset: Int, expected: String)
  /// An object names a member twice.
  case repeatedName(String)
  case tooLarge(limit: Int)
  case tooDeep(limit: Int)
  case tooManyValues(limit: Int)

  /// The failure in words that follow "the body" or the name of a parameter.
  var message: String {
    switch self {
    case .syntax(let offset, let expected):
      "is not valid JSON: expected \(expected) at byte \(offset)"
    case .repeatedName(let name):
      "is not valid: \(MultipartError.quote(name)) is given twice in one object"
    case .tooLarge(let limit): "has more than \(limit) bytes of JSON, the limit"
    case .tooDeep(let limit): "nests arrays and objects deeper than \(limit) levels, the limit"
    case .tooManyValues(let limit): "has more than \(limit) JSON values, the limit"
    }
  }
}
