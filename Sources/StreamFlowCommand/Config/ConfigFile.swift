internal import FlowText
internal import Foundation
internal import Yams

/// A settings file as it was read: keys and values, not yet those of a command.
struct ConfigFile {
  /// A key with its value.
  struct Entry {
    let key: String
    let line: Int
    let value: Node
  }

  let path: String
  /// The settings outside of runs.
  let common: [Entry]
  /// The runs in the file's order.
  let runs: [(name: String, entries: [Entry])]

  /// Reads a file.
  init(path: String) throws {
    var isFolder: ObjCBool = false
    guard unsafe FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
      throw CommandFailure("--config: there is no file '\(path)'", code: EX_NOINPUT)
    }
    guard !isFolder.boolValue else {
      throw CommandFailure(
        "--config: '\(path)' is a folder, expected a YAML or JSON file", code: EX_NOINPUT)
    }
    let data: Data
    do {
      // A pipe too, as in `--config <(...)`.
      data = try FileHandle(forReadingFrom: URL(filePath: path)).readToEnd() ?? Data()
    } catch {
      throw CommandFailure(
        "--config: cannot read '\(path)': \(error.localizedDescription)", code: EX_NOINPUT)
    }
    let text: String
    do { text = try DecodedText(Array(data)).text } catch {
      throw CommandFailure("'\(path)': \(error.message)", code: EX_DATAERR)
    }
    try self.init(text: text, path: path)
  }

  /// Parses the text of a file.
  init(text: String, path: String) throws {
    self.path = path
    let text = JSONText.isJSON(text) ? JSONText.joiningSurrogates(in: text) : text
    let root: Node?
    do { root = try Parser(yaml: text).singleRoot() } catch {
      throw Self.failure(of: error, path: path)
    }
    var (common, runs) = ([Entry](), [(name: String, entries: [Entry])]())
    for entry in try root.map({ try Self.entries(of: $0, path: path, meaning: "the file") }) ?? [] {
      guard entry.key == "runs" else {
        common.append(entry)
        continue
      }
      for run in try Self.entries(of: entry.value, path: path, meaning: "'runs'") {
        guard Self.isFileName(run.key) else {
          throw Self.failure(
            "the name of a run must be a file name, got '\(run.key)'", line: run.line, path: path)
        }
        runs.append(
          (run.key, try Self.entries(of: run.value, path: path, meaning: "run '\(run.key)'")))
      }
      guard !runs.isEmpty else {
        throw Self.failure(
          "'runs' must be a mapping of names to settings, got none", line: entry.line, path: path)
      }
    }
    (self.common, self.runs) = (common, runs)
  }

  /// The keys and values of a mapping; none of an empty value.
  private static func entries(of node: Node, path: String, meaning: String) throws -> [Entry] {
    guard !node.isUnset else { return [] }
    guard let mapping = node.mapping else {
      throw failure(
        "\(meaning) must be a mapping of names to values, got \(node.words)",
        line: node.mark?.line ?? 1, path: path)
    }
    return try mapping.map { key, value in
      let line = key.mark?.line ?? 1
      guard let name = key.scalar?.string else {
        throw failure("a key must be a name, got \(key.words)", line: line, path: path)
      }
      return Entry(key: name, line: line, value: value)
    }
  }

  /// Whether a name can be that of a folder.
  private static func isFileName(_ name: String) -> Bool {
    !name.isEmpty && !name.contains("/") && !name.contains("\0") && !name.hasPrefix(".")
  }

  /// A failure in a line of the file.
  static func failure(_ message: String, line: Int, path: String) -> CommandFailure {
    CommandFailure("'\(path)', line \(line): \(message)", code: EX_DATAERR)
  }

  /// A failure of the parser, in one line.
  private static func failure(of error: any Error, path: String) -> CommandFailure {
    let (problem, place): (String, (line: Int, column: Int)?)
    switch error as? YamlError {
    case .scanner(let context, let words, let mark, _),
      .parser(let context, let words, let mark, _),
      .composer(let context, let words, let mark, _):
      let words = [context?.text, words].compactMap(\.self).joined(separator: ", ")
      (problem, place) = ("not YAML: \(words)", (mark.line, mark.column))
    case .duplicatedKeysInMapping(let keys, let context):
      let names = keys.sorted().map { "'\($0)'" }.joined(separator: " and ")
      (problem, place) = (
        "\(names) must be set once, got it twice", (context.mark.line, context.mark.column)
      )
    case .reader(let words, let offset?, _, let text):
      let lines = text.prefix(offset).split(
        omittingEmptySubsequences: false, whereSeparator: \.isNewline)
      (problem, place) = ("not YAML: \(words)", (lines.count, (lines.last?.count ?? 0) + 1))
    default: (problem, place) = ("not YAML: \(error)", nil)
    }
    let position = place.map { ", line \($0.line), column \($0.column)" } ?? ""
    return CommandFailure("'\(path)'\(position): \(problem)", code: EX_DATAERR)
  }
}

extension Node {
  /// Whether this is an empty value or null, not quoted.
  var isUnset: Bool {
    guard let scalar, scalar.style == .plain || scalar.style == .any else { return false }
    return ["", "~", "null", "Null", "NULL"].contains(scalar.string)
  }

  /// The kind of value, for an error.
  var words: String {
    if let sequence { return "a list of \(sequence.count)" }
    if mapping != nil { return "a mapping" }
    return "'\(scalar?.string ?? "")'"
  }
}

/// Parts of JSON that YAML does not have.
enum JSONText {
  static func isJSON(_ text: String) -> Bool {
    text.first { !$0.isWhitespace } == "{"
  }

  /// Replaces escapes of surrogate pairs (`\ud83e\udd8a`) by their character.
  static func joiningSurrogates(in text: String) -> String {
    var (result, rest) = ("", text[...])
    while let slash = rest.firstIndex(of: "\\") {
      result += rest[..<slash]
      rest = rest[slash...]
      if let pair = rest.prefixMatch(of: /\\u([dD][89abAB]..)\\u([dD][c-fC-F]..)/),
        let high = UInt16(pair.1, radix: 16), let low = UInt16(pair.2, radix: 16)
      {
        result += String(decoding: [high, low], as: UTF16.self)
        rest = rest[pair.range.upperBound...]
      } else {
        result += rest.prefix(2)
        rest = rest.dropFirst(2)
      }
    }
    return result + rest
  }
}
