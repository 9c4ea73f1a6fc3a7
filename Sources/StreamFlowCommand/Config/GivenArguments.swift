/// The settings on a command line, before it is parsed.
struct GivenArguments {
  /// The settings, by index, with the last value of each option.
  private(set) var settings: [Int: String] = [:]
  private(set) var hasWords = false
  private(set) var config: String?
  private(set) var run: String?
  /// Whether only help or the version is requested.
  private(set) var asksForHelp = false

  /// Scans the arguments after the command's name; the parser reports mistakes.
  init(_ arguments: some Sequence<String>, table: SettingTable) {
    var rest = Array(arguments)[...]
    while let argument = rest.popFirst() {
      if argument == "--" {
        hasWords = hasWords || !rest.isEmpty
        return
      }
      guard argument.hasPrefix("-"), argument != "-" else {
        hasWords = true
        continue
      }
      let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      let name = String(parts[0])
      var value = parts.count > 1 ? String(parts[1]) : nil
      if ["--help", "-h", "--version", "--experimental-dump-help"].contains(name) {
        asksForHelp = true
      }
      let index = table.index(ofOption: name)
      if takesValue(name, index: index, table: table), value == nil, let next = rest.first,
        next == "-" || !next.hasPrefix("-")
      {
        value = rest.removeFirst()
      }
      switch name {
      case "--config": config = value
      case "--run": run = value
      default: if let index { settings[index] = value ?? "" }
      }
    }
  }

  private func takesValue(_ name: String, index: Int?, table: SettingTable) -> Bool {
    guard let index else { return name == "--config" || name == "--run" }
    if case .option = table.settings[index].form { return true }
    return false
  }
}
