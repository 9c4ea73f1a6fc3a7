import FlowTestSupport
import Foundation
import Testing

/// Settings files, as the built command reads them.
@Suite(.tags(.process)) struct ConfigCommandTests {
  private let runner: CommandRunner

  init() throws { runner = try CommandRunner() }

  private func write(_ text: String, as name: String = "run.yaml") throws {
    _ = try runner.folder.write(Array(text.utf8), as: name)
  }

  private func bytes(_ path: String) throws -> Data {
    try Data(contentsOf: URL(filePath: "\(runner.folder.path)/\(path)"))
  }

  @Test("A YAML or JSON file gives the images of the same options, byte for byte")
  func equality() throws {
    let flags = try runner.run([
      "generate", "a fox", "a rocket", "--steps", "2", "--seed", "7", "--negative-prompt", "red",
      "--guidance-scale", "1.5", "--output", "flags", "--quiet",
    ])
    #expect(flags.status == 0, "\(flags.error)")
    try write(
      """
      # Two images.
      prompts: [a fox, a rocket]
      steps: 2
      seed: 7
      negative_prompt: red
      cfg: 1.5
      quiet: true
      output: yaml
      """)
    try write(
      """
      {"prompts": ["a fox", "a rocket"], "steps": 2, "seed": 7, "negative-prompt": "red",
       "guidance-scale": 1.5, "quiet": true, "output": "json"}
      """, as: "run.json")
    for name in ["yaml", "json"] {
      let outcome = try runner.run(["generate", "--config", "run.\(name)"])
      #expect(outcome.status == 0 && outcome.output.isEmpty, "\(outcome.error)")
      #expect(try runner.files(name) == runner.files("flags"))
      for file in try runner.files(name) {
        #expect(try bytes("\(name)/\(file)") == bytes("flags/\(file)"))
      }
    }
  }

  @Test("Options and prompts of the command line take precedence")
  func precedence() throws {
    try write("prompts: [a rocket, sushi]\nsteps: 2\nseed: 7\nquiet: true\noutput: file\n")
    let file = try runner.run([
      "generate", "a fox", "--config", "run.yaml", "--steps", "1", "-o", "mine",
    ])
    #expect(file.status == 0, "\(file.error)")
    let flags = try runner.run([
      "generate", "a fox", "--steps", "1", "--seed", "7", "--quiet", "-o", "flags",
    ])
    #expect(flags.status == 0, "\(flags.error)")
    #expect(try runner.files("mine") == ["0001-a-fox.png"])
    #expect(try bytes("mine/0001-a-fox.png") == bytes("flags/0001-a-fox.png"))
  }

  @Test("Runs are executed in order, in folders of their own; a failed one does not stop the rest")
  func runs() throws {
    try write(
      """
      prompts: [a fox]
      steps: 1
      seed: 7
      runs:
        one:
        lost: {model: nowhere}
        two: {prompts: [a rocket], output: second}
      """)
    let all = try runner.run(["generate", "--config", "run.yaml"])
    #expect(all.status == EX_NOINPUT, "\(all.error)")
    let lines = all.error.split(separator: "\n").map(String.init)
    #expect(
      lines.filter { $0.hasPrefix("run ") }
        == ["run 'one' (1 of 3)", "run 'lost' (2 of 3)", "run 'two' (3 of 3)"])
    #expect(lines.last == "error: 1 of 3 runs failed: 'lost'")
    #expect(try runner.files("out/one") == ["0001-a-fox.png"])
    #expect(try runner.files("second") == ["0001-a-rocket.png"])
    let one = try runner.run([
      "generate", "--config", "run.yaml", "--run", "one", "--output", "single.png", "--quiet",
    ])
    #expect(one.status == 0 && one.error.isEmpty, "\(one.error)")
    #expect(try bytes("single.png") == bytes("out/one/0001-a-fox.png"))
  }

  @Test("Nothing begins before all runs are parsed, and a server takes one run")
  func parsedFirst() throws {
    try write("prompts: x\nruns:\n  good: {steps: 1}\n  bad: {steps: four}\n")
    let bad = try runner.run(["generate", "--config", "run.yaml"])
    #expect(bad.status == EX_DATAERR && bad.output.isEmpty)
    #expect(
      bad.error
        == "error: 'run.yaml', line 4: 'steps' must be a value of --steps, got 'four' "
        + "(Number of steps (default: the model's).)\n")
    try write("port: 0\nruns: {a: {host: 127.0.0.1}, b: {host: localhost}}\n")
    let server = try runner.run(["serve", "--config", "run.yaml"])
    #expect(server.status == EX_USAGE)
    #expect(
      server.error
        == "error: 'run.yaml' has several runs, and 'serve' takes one; choose it with --run: a, b\n"
    )
  }

  @Test(
    "An error is one line with its exit code",
    arguments: [
      ("generate", "steps: 4", "--config=none.yaml", 66, "--config: there is no file 'none.yaml'"),
      ("generate", "steps: 4", "--config=.", 66, "--config: '.' is a folder, expected a YAML or "),
      ("generate", "a: b: c", "--config=run.yaml", 65, "'run.yaml', line 1, column 5: not YAML: "),
      ("edit", "stregth: 1", "--config=run.yaml", 65, "'run.yaml', line 1: edit has no setting "),
      (
        "generate", "solver: best", "--config=run.yaml", 65,
        "'run.yaml', line 1: 'solver' must be one of euler, heun, "
      ),
      (
        "generate", "size: 3x", "--config=run.yaml", 65,
        "'run.yaml', line 1: 'size' must be a value of --size, got '3x' ("
      ),
    ])
  func errors(command: String, text: String, option: String, status: Int32, message: String) throws
  {
    try write(text)
    let outcome = try runner.run([command, "a.png", "a fox", option])
    #expect(outcome.status == status && outcome.output.isEmpty)
    #expect(outcome.error.hasPrefix("error: \(message)"), "\(outcome.error)")
    #expect(outcome.error.split(separator: "\n").count == 1, "\(outcome.error)")
  }

  @Test("An error of the parser says that a file's settings apply")
  func annotated() throws {
    try write("size: 64\n")
    let clash = try runner.run(["generate", "a fox", "--width", "64", "--config", "run.yaml"])
    #expect(clash.status == EX_USAGE)
    #expect(clash.error.contains("\n") && clash.error.hasPrefix("error: --size sets width and"))
    #expect(clash.error.split(separator: "\n")[0].hasSuffix("(with the settings of 'run.yaml')"))
    let run = try runner.run(["generate", "a fox", "--run", "a"])
    #expect(run.status == EX_USAGE && run.error.hasPrefix("error: --run needs --config\n"))
  }

  @Test("Help shows --config, and does not read the file")
  func help() throws {
    for command in [["generate"], ["serve"], ["cache", "clear"]] {
      let help = try runner.run(command + ["--config", "none.yaml", "--help"])
      #expect(help.status == 0 && help.output.contains("--config <file>"), "\(help.error)")
    }
  }
}
