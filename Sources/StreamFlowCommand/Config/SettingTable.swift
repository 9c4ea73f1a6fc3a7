/// Something that a key of a settings file sets.
struct Setting {
  enum Form: Equatable {
    /// A word or words without an option.
    case positional
    /// The value of an option.
    case option(String)
    /// The options that turn it on and off; one of them may not exist.
    case flag(on: String?, off: String?)
  }

  let key: String
  var form: Form
  let takesList: Bool
  /// The names that set it on the command line.
  var spellings: Set<String>
  let argument: CommandSyntax.Argument
}

/// The settings of a command, which are its arguments.
struct SettingTable {
  /// Options that no file sets.
  static let reserved: Set = ["config", "run", "help", "version"]

  /// The command's name, such as `cache clear`.
  let command: String
  /// All settings; words without an option are in the order of the command line.
  private(set) var settings: [Setting] = []
  private var places: [String: (index: Int, isNegated: Bool)] = [:]

  init(_ syntax: CommandSyntax, command: String) {
    self.command = command
    let arguments = (syntax.arguments ?? []).filter { argument in
      argument.shouldDisplay
        && !(argument.names ?? []).contains { Self.reserved.contains($0.name) }
    }
    for argument in arguments where argument.kind == .positional { addWords(argument) }
    for argument in arguments where argument.kind == .option { addOption(argument) }
    for argument in arguments where argument.kind == .flag { addFlag(argument) }
  }

  /// Adds each word of a name such as `input ... prompt`.
  private mutating func addWords(_ argument: CommandSyntax.Argument) {
    let words = (argument.valueName ?? "").split(separator: " ").map(String.init)
    let names = words.filter { $0 != "..." }
    for (index, name) in words.enumerated() where name != "..." {
      let hasDots = words.dropFirst(index + 1).first == "..."
      add(
        Setting(
          key: name, form: .positional,
          takesList: names.count == 1 ? argument.isRepeating : hasDots, spellings: [],
          argument: argument),
        keys: [name])
    }
  }

  private mutating func addOption(_ argument: CommandSyntax.Argument) {
    guard let name = argument.preferredName, let names = argument.names else { return }
    add(
      Setting(
        key: name.name, form: .option(name.text), takesList: argument.isRepeating,
        spellings: Set(names.map(\.text)), argument: argument),
      keys: names.filter(\.isLong).map(\.name))
  }

  /// Adds a flag; `--no-x` is the setting x, unless an option has that name.
  private mutating func addFlag(_ argument: CommandSyntax.Argument) {
    guard let name = argument.preferredName else { return }
    let isOpposite = name.name.hasPrefix("no-") && !isOption(String(name.name.dropFirst(3)))
    let key = isOpposite ? String(name.name.dropFirst(3)) : name.name
    if places[key] == nil {
      add(
        Setting(
          key: key, form: .flag(on: nil, off: nil), takesList: false, spellings: [],
          argument: argument),
        keys: [key])
    }
    guard let index = places[key]?.index, case .flag(let on, let off) = settings[index].form else {
      return
    }
    settings[index].form =
      isOpposite ? .flag(on: on, off: name.text) : .flag(on: name.text, off: off)
    settings[index].spellings.formUnion((argument.names ?? []).map(\.text))
    if isOpposite { places[name.name] = (index, true) }
  }

  private func isOption(_ key: String) -> Bool {
    guard let place = places[key], case .option = settings[place.index].form else { return false }
    return true
  }

  private mutating func add(_ setting: Setting, keys: [String]) {
    for key in keys { places[key] = (settings.count, false) }
    settings.append(setting)
  }

  /// The setting of a key, and whether the key means its opposite; underscores are hyphens.
  func place(of key: String) -> (index: Int, isNegated: Bool)? {
    let key = key.replacing("_", with: "-")
    return places[key] ?? RetiredNames.setting(key).flatMap { places[$0] }
  }

  /// The setting that an option sets on the command line.
  func index(ofOption name: String) -> Int? {
    settings.firstIndex { $0.spellings.contains(name) }
  }

  /// All keys, ordered.
  var keys: [String] { places.keys.sorted() }
}
