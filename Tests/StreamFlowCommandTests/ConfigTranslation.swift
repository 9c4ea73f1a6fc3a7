import ArgumentParser
import Testing

@testable import StreamFlowCommand

/// Settings files as arguments, without running anything.
struct ConfigTranslation {
  private static let root = Result { try CommandSyntax(of: StreamFlowCommand.self) }

  let root: CommandSyntax

  init() throws { root = try Self.root.get() }

  /// The arguments of each run of a file, with a command line; whether that has `--config` does not
  /// matter here.
  func runs(_ line: [String], _ text: String) throws -> [[String]] {
    let (syntax, path) = try #require(root.command(of: line))
    let table = SettingTable(syntax, command: path.joined(separator: " "))
    let file = try ConfigFile(text: text, path: "run.yaml")
    return try ConfiguredRun.all(
      of: file, table: table, root: root,
      given: GivenArguments(line.dropFirst(path.count), table: table),
      line: ArgumentLine(line, commandWords: path.count)
    ).map(\.arguments)
  }

  func arguments(_ line: String, _ text: String) throws -> String {
    try runs(line.split(separator: " ").map(String.init), text)[0].joined(separator: " ")
  }

  /// The exit code and error of a file.
  func failure(_ line: String, _ text: String) -> String {
    do {
      return "no failure: \(try arguments(line, text))"
    } catch let error as CommandFailure {
      return "\(error.exitCode.rawValue) \(error)"
    } catch {
      return "\(error)"
    }
  }

  /// A file with common settings and three runs.
  static let several = """
    prompts: [a fox]
    seed: 5
    contact-sheet: sheet.png
    runs:
      plain: {steps: 4}
      fine:
        steps: 8
        seed: null
        output: best
      empty:
    """
}
