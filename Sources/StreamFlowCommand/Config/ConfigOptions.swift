internal import ArgumentParser

/// The options of a settings file.
///
/// `ConfiguredRun` reads the file before the parser runs.
struct ConfigOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      """
      A YAML or JSON file of settings: the options of this command without dashes, its arguments by \
      their names, and several runs below 'runs'. The command line takes precedence.
      """, valueName: "file"),
    completion: .file(extensions: ["yaml", "yml", "json"]))
  var config: String?

  @Option(
    name: .customLong("run"),
    help: ArgumentHelp(
      "The run of the settings file (default: all of them, one after another).", valueName: "name"))
  var runName: String?

  func validate() throws {
    if runName != nil, config == nil { throw ValidationError("--run needs --config") }
  }
}

/// A command that runs until it is stopped, so that no second run can follow.
protocol RunsUntilStopped {}
