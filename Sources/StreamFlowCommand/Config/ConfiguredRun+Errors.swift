internal import ArgumentParser
internal import Foundation

extension ConfiguredRun {
  /// The failure of a value of the file that the parser refuses, with its line in the file; nil
  /// for other failures.
  ///
  /// - Parameter message: the parser's message.
  func failure(from message: String) -> CommandFailure? {
    guard let source,
      let match = message.firstMatch(of: /is invalid for '(--?[^ ']+)[^']*'(?:: (.+))?/),
      let index = source.table.index(ofOption: String(match.1)), let value = source.values[index],
      case .words(let words) = value.content
    else { return nil }
    let setting = source.table.settings[index]
    let refused = words.first { message.contains("'\($0)'") } ?? words.joined(separator: " ")
    let expected =
      setting.argument.allValues.map { "one of \($0.joined(separator: ", "))" }
      ?? "a value of \(match.1)"
    let reason =
      match.2.map(String.init)
      ?? (setting.argument.allValues == nil ? setting.argument.abstract : nil)
    return ConfigFile.failure(
      "'\(value.key)' must be \(expected), got '\(refused)'\(reason.map { " (\($0))" } ?? "")",
      line: value.line, path: source.path)
  }

  /// A message that says in its first line which settings apply.
  func annotated(_ text: String) -> String {
    guard let source, !source.values.isEmpty else { return text }
    let run = source.run.map { "run '\($0)'" } ?? "the settings"
    var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    lines[0] += " (with \(run) of '\(source.path)')"
    return lines.joined(separator: "\n")
  }
}
