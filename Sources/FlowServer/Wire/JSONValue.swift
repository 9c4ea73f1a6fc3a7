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

  /// The name of its type.
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

/// The limits of a client's JSON document.
struct JSONLimits: Equatable, Sendable {
  /// The maximum size in bytes.
  var byteCount: Int
  /// The maximum nesting of arrays and objects, including the outermost.
  var depth = 8
  /// The maximum number of values: each scalar, array and object counts as one.
  var valueCount: Int
}

/// Why a JSON document was rejected.
enum JSONError: Error, Equatable, Sendable {
  /// Something else was expected at a byte, counted from 0.
  case syntax(offset: Int, expected: String)
  /// An object contains a name twice.
  case repeatedName(String)
  case tooLarge(limit: Int)
  case tooDeep(limit: Int)
  case tooManyValues(limit: Int)

  /// The message, to follow "the body" or the name of a parameter.
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
