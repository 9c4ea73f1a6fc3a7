internal import HTTPTypes

/// The parameters of a request, from a JSON body or a form, read by name and type.
///
/// Each error names the parameter, the expected value and the received one. Parameters that are
/// unread at the end are unknown to the server (``checkAllRead()``).
struct RequestFields {
  private let values: [String: JSONValue]
  /// Whether all values are text, as in a form.
  private let isForm: Bool
  /// The prefix of names in errors, such as `blend[1].`.
  private let prefix: String
  /// The limits of JSON in a form's fields.
  private let limits: JSONLimits
  private var read: Set<String> = []
  /// Warnings about parameters that were read and have no effect, or less than requested.
  private(set) var warnings: [ResponseWarning] = []

  /// The fields of a JSON object.
  ///
  /// - Parameters:
  ///   - bytes: the document.
  ///   - limits: its limits.
  init(json bytes: some Collection<UInt8>, limits: JSONLimits) throws(ServerError) {
    let value: JSONValue
    do { value = try JSONParser.parse(bytes, limits: limits) } catch {
      throw .json(error, of: "the body")
    }
    guard case .object(let values) = value else {
      throw ServerError(
        .badRequest, "invalid_json",
        "the body must be a JSON object such as {\"prompt\": \"a fox\"}, got \(value.kind)")
    }
    self.init(values, prefix: "", limits: limits)
  }

  /// The text fields of a form.
  ///
  /// - Parameters:
  ///   - form: the form.
  ///   - limits: the limits of fields that contain JSON.
  init(form: MultipartForm, limits: JSONLimits) throws(ServerError) {
    var values: [String: JSONValue] = [:]
    for part in form.parts where part.fileName == nil {
      guard let text = String(validating: part.content, as: UTF8.self) else {
        throw .invalid("'\(part.name)' is not UTF-8 text", parameter: part.name)
      }
      guard values[part.name] == nil else {
        throw .invalid("'\(part.name)' is given twice", parameter: part.name)
      }
      values[part.name] = .string(text)
    }
    self.init(values, prefix: "", limits: limits, isForm: true)
  }

  private init(
    _ values: [String: JSONValue], prefix: String, limits: JSONLimits, isForm: Bool = false
  ) {
    self.values = values
    self.prefix = prefix
    self.limits = limits
    self.isForm = isForm
  }

  /// Whether a parameter is present.
  func has(_ name: String) -> Bool {
    values[name].map { $0 != .null } ?? false
  }

  /// A parameter's full name, such as `blend[1].weight`.
  func path(_ name: String) -> String { prefix + name }

  /// Whether a parameter is null.
  func isNull(_ name: String) -> Bool { values[name] == .null }

  /// Whether a value is an object.
  func isObject(_ name: String) -> Bool {
    if case .object = values[name] { true } else { false }
  }

  private mutating func value(_ name: String) -> JSONValue? {
    read.insert(name)
    guard let value = values[name], value != .null else { return nil }
    return value
  }

  private func wrong(_ name: String, _ expected: String, _ value: JSONValue) -> ServerError {
    let got: String
    switch value {
    case .string(let text): got = "'\(text.prefix(80))'"
    case .integer(let number): got = "\(number)"
    case .unsigned(let number): got = "\(number)"
    case .number(let number): got = "\(number)"
    case .bool(let bool): got = "\(bool)"
    case .null, .array, .object: got = value.kind
    }
    return .invalid("'\(prefix)\(name)' must be \(expected), got \(got)", parameter: prefix + name)
  }

  /// A text with a maximum number of characters.
  mutating func text(_ name: String, limit: Int) throws(ServerError) -> String? {
    guard let value = value(name) else { return nil }
    guard case .string(let text) = value else { throw wrong(name, "a string", value) }
    guard text.unicodeScalars.count <= limit else {
      throw ServerError(
        .badRequest, "too_long",
        "'\(prefix)\(name)' has \(text.unicodeScalars.count) characters, the limit is \(limit)",
        parameter: prefix + name)
    }
    return text
  }

  /// One of several words.
  mutating func choice(_ name: String, of words: [String]) throws(ServerError) -> String? {
    guard let value = value(name) else { return nil }
    guard case .string(let text) = value, words.contains(text) else {
      throw wrong(name, "one of \(words.joined(separator: ", "))", value)
    }
    return text
  }

  /// One of the cases of a type.
  mutating func choice<Choice: RawRepresentable<String> & CaseIterable>(
    _ name: String, as type: Choice.Type
  ) throws(ServerError) -> Choice? {
    try choice(name, of: Choice.allCases.map(\.rawValue)).flatMap(Choice.init)
  }

  /// An integer in a range.
  ///
  /// - Parameters:
  ///   - name: the parameter.
  ///   - range: the accepted range.
  ///   - word: a word that means the default.
  mutating func integer(
    _ name: String, in range: ClosedRange<Int>, orWord word: String? = nil
  ) throws(ServerError) -> Int? {
    guard let value = value(name) else { return nil }
    if let word, value == .string(word) { return nil }
    let number: Int? =
      switch value {
      case .integer(let number): Int(exactly: number)
      case .number(let number): Int(exactly: number)
      case .string(let text) where isForm: Int(text)
      default: nil
      }
    guard let number, range.contains(number) else {
      throw wrong(name, "an integer from \(range.lowerBound) to \(range.upperBound)", value)
    }
    return number
  }

  /// A seed; -1 means a random one, as in other programs.
  mutating func seed(_ name: String) throws(ServerError) -> UInt64? {
    guard let value = value(name) else { return nil }
    // Small enough for every JSON parser.
    if value == .integer(-1) || (isForm && value == .string("-1")) {
      return UInt64(UInt32.random(in: 0 ... .max))
    }
    let number: UInt64? =
      switch value {
      case .integer(let number): UInt64(exactly: number)
      case .unsigned(let number): number
      case .number(let number): UInt64(exactly: number)
      case .string(let text) where isForm: UInt64(text)
      default: nil
      }
    guard let number else {
      throw wrong(name, "-1 for a random one, or an integer from 0 to \(UInt64.max)", value)
    }
    return number
  }

  /// A number in a range whose lower bound may be exclusive.
  mutating func number(
    _ name: String, in range: ClosedRange<Double>, above: Bool = false
  ) throws(ServerError) -> Double? {
    guard let value = value(name) else { return nil }
    let number: Double? =
      switch value {
      case .integer(let number): Double(number)
      case .unsigned(let number): Double(number)
      case .number(let number): number
      case .string(let text) where isForm: Double(text)
      default: nil
      }
    guard let number, range.contains(number), !above || number > range.lowerBound else {
      let words =
        above
        ? "a number above \(range.lowerBound) and at most \(range.upperBound)"
        : "a number from \(range.lowerBound) to \(range.upperBound)"
      throw wrong(name, words, value)
    }
    return number
  }

  /// A Boolean.
  mutating func flag(_ name: String) throws(ServerError) -> Bool? {
    guard let value = value(name) else { return nil }
    switch value {
    case .bool(let bool): return bool
    case .string("true") where isForm: return true
    case .string("false") where isForm: return false
    default: throw wrong(name, "true or false", value)
    }
  }

  /// An array of objects; in a form, JSON.
  mutating func objects(_ name: String, limit: Int) throws(ServerError) -> [RequestFields]? {
    guard let value = try parsed(name) else { return nil }
    guard case .array(let array) = value, array.count <= limit else {
      throw wrong(name, "an array of at most \(limit) objects", value)
    }
    var objects: [RequestFields] = []
    for (index, element) in array.enumerated() {
      guard case .object(let values) = element else {
        throw .invalid(
          "'\(prefix)\(name)[\(index)]' must be an object, got \(element.kind)",
          parameter: prefix + name)
      }
      objects.append(RequestFields(values, prefix: "\(prefix)\(name)[\(index)].", limits: limits))
    }
    return objects
  }

  /// An object; in a form, JSON.
  mutating func object(_ name: String) throws(ServerError) -> RequestFields? {
    guard let value = try parsed(name) else { return nil }
    guard case .object(let values) = value else { throw wrong(name, "an object", value) }
    return RequestFields(values, prefix: "\(prefix)\(name).", limits: limits)
  }

  /// An array of texts.
  mutating func texts(
    _ name: String, countLimit: Int, limit: Int
  ) throws(ServerError) -> [String]? {
    guard let value = try parsed(name) else { return nil }
    guard case .array(let array) = value, array.count <= countLimit else {
      throw wrong(name, "an array of at most \(countLimit) strings", value)
    }
    var texts: [String] = []
    for (index, element) in array.enumerated() {
      guard case .string(let text) = element, text.unicodeScalars.count <= limit else {
        throw .invalid(
          "'\(prefix)\(name)[\(index)]' must be a string of at most \(limit) characters",
          parameter: prefix + name)
      }
      texts.append(text)
    }
    return texts
  }

  /// Records a warning for the response.
  mutating func warn(_ warning: ResponseWarning) { warnings.append(warning) }

  private mutating func parsed(_ name: String) throws(ServerError) -> JSONValue? {
    guard let value = value(name) else { return nil }
    guard isForm, case .string(let text) = value else { return value }
    do { return try JSONParser.parse(text.utf8, limits: limits) } catch {
      throw .json(error, of: "'\(prefix)\(name)'", parameter: prefix + name)
    }
  }

  /// The unread parameter that is most likely a misspelling of a name, if any.
  func misspelling(of name: String) -> String? {
    values.keys.sorted().first {
      !read.contains($0) && $0.count <= 40 && ParameterHints.hint(for: $0, known: [name]) != nil
        && ParameterHints.hint(for: $0, known: []) == nil
    }
  }

  /// Checks that no parameter is unread.
  func checkAllRead() throws(ServerError) {
    let unknown = values.keys.filter { !read.contains($0) }.sorted()
    guard let first = unknown.first else { return }
    // Very long names are not compared.
    let hint = first.count <= 40 ? ParameterHints.hint(for: first, known: read) : nil
    throw ServerError(
      .badRequest, "unknown_parameter",
      "unknown parameter '\(prefix)\(first.prefix(80))'; "
        + (hint ?? "known are \(read.sorted().joined(separator: ", "))"),
      parameter: prefix + first)
  }
}
