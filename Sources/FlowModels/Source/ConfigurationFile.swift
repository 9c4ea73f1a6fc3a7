internal import FlowText
internal import Foundation

/// A `config.json`, read key by key; absent keys have the library's defaults.
package struct ConfigurationFile: Sendable {
  indirect enum Value: Decodable, Equatable, Sendable {
    case null
    case bool(Bool)
    case integer(Int)
    case number(Double)
    case text(String)
    case list([Value])
    case object([String: Value])

    init(from decoder: any Decoder) throws {
      let container = try decoder.singleValueContainer()
      self =
        if container.decodeNil() {
          .null
        } else if let bool = try? container.decode(Bool.self) {
          .bool(bool)
        } else if let integer = try? container.decode(Int.self) {
          .integer(integer)
        } else if let number = try? container.decode(Double.self) {
          .number(number)
        } else if let text = try? container.decode(String.self) {
          .text(text)
        } else if let list = try? container.decode([Value].self) {
          .list(list)
        } else {
          .object(try container.decode([String: Value].self))
        }
    }

    var words: String {
      switch self {
      case .null: "null"
      case .bool(let bool): "\(bool)"
      case .integer(let integer): "\(integer)"
      case .number(let number): "\(number)"
      case .text(let text): "\"\(text)\""
      case .list(let list): "[\(list.map(\.words).joined(separator: ", "))]"
      case .object: "{...}"
      }
    }
  }

  /// The file, for error messages.
  let path: String
  private let values: [String: Value]

  /// The values of such a file for a model that has none.
  init(path: String, values: [String: Value]) {
    self.path = path
    self.values = values
  }

  init(path: String) throws(ModelError) {
    self.path = path
    guard FileManager.default.fileExists(atPath: path) else {
      throw ModelError(
        code: .fileMissing,
        message: "'\(path)' is missing; diffusers' layout requires it")
    }
    do {
      let data = try Data(contentsOf: URL(filePath: path))
      guard !GitLFSPointer.isPointer(data) else {
        throw ModelError(code: .fileInvalid, message: "'\(path)' \(GitLFSPointer.problem)")
      }
      let text = try DecodedText(Array(data)).text
      values = try JSONDecoder().decode([String: Value].self, from: Data(text.utf8))
    } catch let error as ModelError {
      throw error
    } catch let problem as DecodedText.Problem {
      throw ModelError(code: .fileInvalid, message: "'\(path)' is not text: \(problem.message)")
    } catch {
      throw ModelError(
        code: .fileInvalid, message: "'\(path)' is not a JSON object; fetch the model again",
        cause: error)
    }
  }

  /// Whether such a file exists.
  package static func exists(_ path: String) -> Bool {
    FileManager.default.fileExists(atPath: path)
  }

  /// The keys of the file.
  var keys: [String] { values.keys.sorted() }

  /// The value of a key, nil if it is absent or null.
  subscript(key: String) -> Value? {
    let value = values[key]
    return value == .null ? nil : value
  }

  func unsupported(_ key: String, expected: String) -> ModelError {
    ModelError(
      code: .unsupported,
      message: "'\(path)': \(key) = \(values[key]?.words ?? "absent") is not supported; "
        + "expected \(expected)")
  }

  func integer(_ key: String, default standard: Int, in range: ClosedRange<Int>) throws(ModelError)
    -> Int
  {
    switch self[key] {
    case nil: return standard
    case .integer(let value) where range.contains(value): return value
    default: throw unsupported(key, expected: "\(range.lowerBound) to \(range.upperBound)")
    }
  }

  func number(_ key: String, default standard: Double) throws(ModelError) -> Double {
    switch self[key] {
    case nil: return standard
    case .integer(let value): return Double(value)
    case .number(let value) where value.isFinite: return value
    default: throw unsupported(key, expected: "a number")
    }
  }

  func bool(_ key: String, default standard: Bool) throws(ModelError) -> Bool {
    switch self[key] {
    case nil: return standard
    case .bool(let value): return value
    default: throw unsupported(key, expected: "true or false")
    }
  }

  /// A list of `count` truth values; a single one stands for equal ones.
  func bools(
    _ key: String, default standard: Bool, count: Int
  ) throws(ModelError) -> [Bool] {
    guard case .list(let list) = self[key] else {
      return [Bool](repeating: try bool(key, default: standard), count: count)
    }
    let values = list.compactMap { if case .bool(let value) = $0 { value } else { nil } }
    guard values.count == list.count, values.count == count else {
      throw unsupported(key, expected: "\(count) of true and false")
    }
    return values
  }

  func text(_ key: String) throws(ModelError) -> String? {
    switch self[key] {
    case nil: return nil
    case .text(let value): return value
    default: throw unsupported(key, expected: "a text")
    }
  }

  /// A list of integers; a single number stands for `count` equal ones.
  func integers(
    _ key: String, default standard: [Int], count: Int?, in range: ClosedRange<Int>
  ) throws(ModelError) -> [Int] {
    let values: [Int]
    switch self[key] {
    case nil: values = standard
    case .integer(let value): values = [Int](repeating: value, count: count ?? 1)
    case .list(let list):
      values = list.compactMap { if case .integer(let value) = $0 { value } else { nil } }
      guard values.count == list.count else {
        throw unsupported(key, expected: "whole numbers")
      }
    default: throw unsupported(key, expected: "whole numbers")
    }
    guard !values.isEmpty, values.allSatisfy(range.contains), count == nil || values.count == count
    else {
      throw unsupported(
        key,
        expected:
          "\(count.map { "\($0) " } ?? "")numbers of \(range.lowerBound) to \(range.upperBound)"
      )
    }
    return values
  }

  func texts(_ key: String, default standard: [String]) throws(ModelError) -> [String] {
    switch self[key] {
    case nil: return standard
    case .list(let list):
      let texts = list.compactMap { if case .text(let value) = $0 { value } else { nil } }
      guard texts.count == list.count else { throw unsupported(key, expected: "texts") }
      return texts
    default: throw unsupported(key, expected: "texts")
    }
  }

  /// A text that is one of several choices.
  func choice<Choice: RawRepresentable<String> & CaseIterable>(
    _ key: String, default standard: Choice
  ) throws(ModelError) -> Choice {
    guard let text = try text(key) else { return standard }
    guard let choice = Choice(rawValue: text) else {
      let allowed = Choice.allCases.map { "\"\($0.rawValue)\"" }
      throw unsupported(key, expected: allowed.joined(separator: " or "))
    }
    return choice
  }

  /// Rejects every value except the given ones; an absent key is accepted.
  func require(_ key: String, isOneOf allowed: [Value]) throws(ModelError) {
    guard let value = self[key], !allowed.contains(value) else { return }
    throw unsupported(key, expected: (allowed.map(\.words) + ["null"]).joined(separator: " or "))
  }
}
