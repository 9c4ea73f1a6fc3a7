internal import Foundation
internal import Yams

/// The settings of a file for one command: known keys with values of the right kind.
struct ConfigSettings {
  /// What a key is set to.
  enum Content: Equatable {
    /// As if the key were absent.
    case unset
    case words([String])
    case flag(Bool)
  }

  struct Value {
    let key: String
    let line: Int
    let content: Content
  }

  /// The values, by the index of their setting.
  private(set) var values: [Int: Value] = [:]

  /// Checks the keys and values of a file, or of one run.
  ///
  /// - Parameters:
  ///   - entries: the keys and values.
  ///   - path: the file, for errors.
  ///   - table: the command's settings.
  ///   - root: all commands, for errors.
  init(_ entries: [ConfigFile.Entry], of path: String, table: SettingTable, root: CommandSyntax)
    throws
  {
    for entry in entries {
      guard let place = table.place(of: entry.key) else {
        throw ConfigFile.failure(
          Self.problem(of: entry.key, table: table, root: root), line: entry.line, path: path)
      }
      if let earlier = values[place.index] {
        throw ConfigFile.failure(
          "'\(entry.key)' must be set once, got it in line \(earlier.line) as '\(earlier.key)' too",
          line: entry.line, path: path)
      }
      let setting = table.settings[place.index]
      let content = Self.content(of: entry.value, setting: setting, isNegated: place.isNegated)
      guard let content else {
        throw ConfigFile.failure(
          "'\(entry.key)' must be \(Self.kind(of: setting)), got \(entry.value.words)",
          line: entry.value.mark?.line ?? entry.line, path: path)
      }
      values[place.index] = Value(key: entry.key, line: entry.line, content: content)
    }
  }

  /// These settings with those of a run in their place.
  func merging(_ run: ConfigSettings) -> ConfigSettings {
    var result = self
    result.values.merge(run.values) { $1 }
    return result
  }

  /// A value as its setting takes it; nil if the kind is wrong.
  private static func content(of node: Node, setting: Setting, isNegated: Bool) -> Content? {
    if node.isUnset { return .unset }
    if case .flag = setting.form {
      guard let value = truth(of: node.scalar?.string ?? "") else { return nil }
      return .flag(value != isNegated)
    }
    if let scalar = node.scalar { return .words([scalar.string]) }
    guard setting.takesList, let sequence = node.sequence else { return nil }
    let words = sequence.compactMap(\.scalar?.string)
    return words.count == sequence.count ? .words(words) : nil
  }

  /// YAML 1.1's words for true and false, in quotes too.
  private static func truth(of word: String) -> Bool? {
    switch word.lowercased() {
    case "true", "yes", "on": true
    case "false", "no", "off": false
    default: nil
    }
  }

  private static func kind(of setting: Setting) -> String {
    if case .flag = setting.form { return "true or false" }
    return setting.takesList ? "a value or a list of values" : "a single value"
  }

  /// The error of an unknown key.
  private static func problem(of key: String, table: SettingTable, root: CommandSyntax) -> String {
    let start = "\(table.command) has no setting '\(key)'"
    let others = root.leaves().filter { SettingTable($1, command: $0).place(of: key) != nil }
    guard others.isEmpty else {
      return "\(start); it is a setting of \(others.map(\.name).joined(separator: ", "))"
    }
    let name = key.replacing("_", with: "-")
    if let remedy = ForeignOptions.remedy(of: "--\(name)") { return "\(start); use \(remedy)" }
    if let meant = CommandNames.nearest(to: name.lowercased(), among: table.keys) {
      return "\(start); did you mean '\(meant)'?"
    }
    return "\(start); see 'streamflow \(table.command) --help'"
  }
}
