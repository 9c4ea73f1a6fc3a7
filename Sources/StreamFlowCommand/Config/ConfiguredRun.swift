internal import ArgumentParser
internal import Foundation

/// A command to parse and run: as typed, or with the settings of a file.
struct ConfiguredRun {
  /// The settings that a file contributes.
  struct Source {
    let path: String
    /// The run's name; nil for a file without runs.
    let run: String?
    let table: SettingTable
    /// The file's values that the command line does not replace, by setting.
    let values: [Int: ConfigSettings.Value]
  }

  let arguments: [String]
  var source: Source?

  /// The runs that a command line stands for: one, unless its settings file has several.
  ///
  /// - Parameters:
  ///   - arguments: all arguments.
  ///   - command: the command that receives them.
  static func all(of arguments: [String], root command: any ParsableCommand.Type) throws
    -> [ConfiguredRun]
  {
    let plain = [ConfiguredRun(arguments: arguments)]
    guard arguments.contains(where: { $0 == "--config" || $0.hasPrefix("--config=") }) else {
      return plain
    }
    let root = try CommandSyntax(of: command)
    guard let (syntax, path) = root.command(of: arguments) else { return plain }
    let table = SettingTable(syntax, command: path.joined(separator: " "))
    let given = GivenArguments(arguments.dropFirst(path.count), table: table)
    guard let config = given.config, !given.asksForHelp, !table.settings.isEmpty else {
      return plain
    }
    return try all(
      of: ConfigFile(path: config), table: table, root: root, given: given,
      line: ArgumentLine(arguments, commandWords: path.count))
  }

  /// The runs of a file with a command line.
  static func all(
    of file: ConfigFile, table: SettingTable, root: CommandSyntax, given: GivenArguments,
    line: ArgumentLine
  ) throws -> [ConfiguredRun] {
    let common = try ConfigSettings(file.common, of: file.path, table: table, root: root)
    // All runs are checked, also if one is chosen.
    let runs = try file.runs.map { name, entries in
      (name, try ConfigSettings(entries, of: file.path, table: table, root: root))
    }
    func configured(_ name: String?, _ settings: ConfigSettings, _ outputs: [String])
      -> ConfiguredRun
    {
      let values = settings.values.filter { index, _ in
        table.settings[index].form == .positional
          ? !given.hasWords : given.settings[index] == nil
      }
      return ConfiguredRun(
        arguments: line.adding(table.arguments(of: values), outputs: outputs),
        source: Source(path: file.path, run: name, table: table, values: values))
    }
    if let name = given.run, !runs.contains(where: { $0.0 == name }) {
      throw CommandFailure(problem(ofRun: name, in: file), code: EX_USAGE)
    }
    guard !runs.isEmpty else { return [configured(nil, common, [])] }
    let chosen = runs.filter { given.run == nil || $0.0 == given.run }
    var outputs = RunOutputs(table: table, given: given)
    return try chosen.map { name, own in
      configured(
        name, common.merging(own),
        try outputs.arguments(ofRun: name, own: own, common: common, path: file.path))
    }
  }

  private static func problem(ofRun name: String, in file: ConfigFile) -> String {
    let names = file.runs.map(\.name)
    guard !names.isEmpty else {
      return "--run: '\(file.path)' must have a run '\(name)', got settings without 'runs'"
    }
    let start = "--run: '\(file.path)' has no run '\(name)'"
    if let meant = CommandNames.nearest(to: name, among: names) {
      return "\(start); did you mean '\(meant)'?"
    }
    return "\(start); it has \(names.joined(separator: ", "))"
  }
}

/// A command line, in the parts that settings are placed between.
struct ArgumentLine {
  private let command: ArraySlice<String>
  private let options: ArraySlice<String>
  /// `--` and what follows.
  private let words: ArraySlice<String>

  init(_ arguments: [String], commandWords: Int) {
    let end = arguments.firstIndex(of: "--") ?? arguments.endIndex
    command = arguments[..<commandWords]
    options = arguments[commandWords..<max(end, commandWords)]
    words = arguments[max(end, commandWords)...]
  }

  /// The line with the settings of a file: their options first, so that the typed ones follow, and
  /// outputs after all other options.
  func adding(_ settings: (options: [String], words: [String]), outputs: [String]) -> [String] {
    let own = words.isEmpty && !settings.words.isEmpty ? ["--"] : []
    return command + settings.options + options + outputs + words + own + settings.words
  }
}

extension SettingTable {
  /// The arguments that set values.
  func arguments(of values: [Int: ConfigSettings.Value]) -> (options: [String], words: [String]) {
    var (options, words) = ([String](), [String]())
    for (index, value) in values.sorted(by: { $0.key < $1.key }) {
      switch (settings[index].form, value.content) {
      case (.positional, .words(let texts)): words += texts
      case (.option(let name), .words(let texts)):
        // The parser reads `--name=` as an option whose value is missing.
        options += texts.flatMap { $0.isEmpty ? [name, ""] : ["\(name)=\($0)"] }
      case (.flag(let on, let off), .flag(let value)):
        if let name = value ? on : off { options.append(name) }
      default: break
      }
    }
    return (options, words)
  }
}
