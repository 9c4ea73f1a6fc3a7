import FlowModels
import FlowTestSupport
import Foundation
import Testing

@testable import StreamFlowCommand

/// What people type: negative numbers, other programs' options, misspelled commands, no quotes.
@Suite(.tags(.process)) struct ArgumentTests {
  private let runner: CommandRunner

  init() throws { runner = try CommandRunner() }

  @Test("A negative number after an option is its value")
  func negativeNumbers() {
    func joined(_ text: String) -> String {
      ArgumentList.joiningNegativeNumbers(in: text.split(separator: " ").map(String.init))
        .joined(separator: " ")
    }
    #expect(joined("generate fox --seed -1 --count 2") == "generate fox --seed=-1 --count 2")
    #expect(joined("generate fox -s -1 -n -3") == "generate fox --seed=-1 --count=-3")
    #expect(joined("--cfg -3.5 --delta -.5 x -1") == "--cfg=-3.5 --delta=-.5 x -1")
    #expect(joined("--seed=4 -1 --output - --json -o") == "--seed=4 -1 --output - --json -o")
    #expect(joined("--seed -1 -- --seed -1") == "--seed=-1 -- --seed -1")
    #expect(joined("--seed -1 -1") == "--seed=-1 -1")
  }

  @Test("Retired names of commands and options still work, with a note each")
  func retiredNames() {
    let (arguments, notes) = RetiredNames.current(
      ["adopt", "adopt", "--stages=4", "--stages", "auto", "--", "--stages"])
    #expect(
      arguments == [
        "configure", "adopt", "--batch-size=4", "--batch-size", "auto", "--", "--stages",
      ])
    #expect(
      notes == [
        "note: 'adopt' is now 'configure'; the old name will be removed",
        "note: '--stages' is now '--batch-size'; the old name will be removed",
        "note: '--stages' is now '--batch-size'; the old name will be removed",
      ])
    #expect(RetiredNames.current(["help", "adopt"]).arguments == ["help", "configure"])
    #expect(RetiredNames.current(["generate", "adopt"]).notes == [])
    #expect(RetiredNames.setting("stages") == "batch-size")
  }

  @Test(
    "Edit distances count neighbors that changed places once",
    arguments: [
      ("generate", "generate", 0), ("generat", "generate", 1), ("genreate", "generate", 1),
      ("", "abc", 3), ("abc", "", 3), ("kitten", "sitting", 3),
    ])
  func distances(left: String, right: String, expected: Int) {
    #expect(Spelling.distance(Array(left.utf8), Array(right.utf8)) == expected)
  }

  @Test(
    "An unknown command suggests a similar one",
    arguments: [
      ("generat", "error: there is no command 'generat'; did you mean 'streamflow generate'?\n"),
      ("GENERATE", "error: there is no command 'GENERATE'; did you mean 'streamflow generate'?\n"),
      ("bench", "error: there is no command 'bench'; did you mean 'streamflow benchmark'?\n"),
      (
        "a fox on grass",
        "error: there is no command 'a fox on grass'; to generate an image of a prompt: "
          + "streamflow generate \"a fox on grass\"\n"
      ),
      ("version", "error: there is no command 'version'; streamflow --version shows the version\n"),
      ("paint", "error: there is no command 'paint'; streamflow has generate, "),
    ])
  func commands(name: String, message: String) throws {
    for arguments in [[name], ["help", name], [name, "x", "--count", "2"]] {
      let outcome = try runner.run(arguments)
      #expect(outcome.status == 64 && outcome.error.hasPrefix(message), "\(outcome.error)")
      #expect(!outcome.error.contains("benchmark-worker"))
    }
  }

  @Test(
    "Devices are named with or without their backend; one twice and unknown ones are refused",
    arguments: [
      ("openvino:CPU", 0, ""), ("CPU,CPU", 64, "'CPU,CPU' names CPU twice"),
      ("CPU,TPU", 69, "there is no device 'TPU'"),
      ("cuda:CPU", 69, "there is no backend 'cuda'; available: openvino, onnxruntime"),
    ])
  func devices(name: String, status: Int32, message: String) throws {
    let outcome = try runner.run(["generate", "fox", "--device", name, "--quiet"])
    #expect(outcome.status == status, "\(outcome.error)")
    #expect(message.isEmpty || outcome.error.contains(message), "\(outcome.error)")
  }

  @Test("A misspelled subcommand names the one that was meant")
  func subcommands() throws {
    let outcome = try runner.run(["cache", "clera"])
    #expect(outcome.status == 64)
    #expect(
      outcome.error.hasPrefix(
        "error: there is no command 'clera'; did you mean 'streamflow cache clear'?\n"))
  }

  @Test(
    "A number out of range is refused with the range, negative ones too",
    arguments: [
      (["--guidance-scale", "-3"], "--guidance-scale must be a number of 0 or more, got -3.0"),
      (["--cfg", "nan"], "--guidance-scale must be a number of 0 or more, got nan"),
      (["--steps", "-1"], "--steps must be 1 to 1000, got -1"),
      (["-n", "-1"], "--count must be 1 to 1000000, got -1"),
      (["--clip-skip", "-1"], "--clip-skip must be 0 or more, got -1"),
      (["--delta", "-1"], "--delta must be a number of 0 or more, got -1.0"),
      (["--quality", "-5"], "--quality must be 1 to 100, got -5"),
      (["--threads", "-1"], "--threads must be 1 to 4096, got -1"),
      (["--width", "-64"], "width must be a multiple of 4 from 4 to 16384 pixels"),
      (["--seed", "-2"], "The value '-2' is invalid for '--seed <seed>'"),
      (["--size", "64", "--width", "64"], "--size sets width and height"),
    ])
  func ranges(arguments: [String], message: String) throws {
    let outcome = try runner.run(["generate", "fox"] + arguments)
    #expect(outcome.status == 64)
    #expect(outcome.error.hasPrefix("error: \(message)"), "\(outcome.error)")
  }

  @Test("Options of other programs are taken, or named by their name here")
  func options() throws {
    let taken = try runner.run([
      "generate", "--prompt", "fox", "-p", "rocket", "--cfg", "1.5", "--negative", "red", "-s",
      "5", "-n", "2", "--size", "32", "-m", "starter", "--json",
    ])
    #expect(taken.status == 0, "\(taken.error)")
    for part in ["\"width\" : 32", "\"height\" : 32", "\"seed\" : 8", "\"prompt\" : \"rocket\""] {
      #expect(taken.output.contains(part), "\(taken.output)")
    }
    for (option, message) in [
      ("--sampler", "error: Unknown option '--sampler'; use --solver and --schedule\n"),
      ("--num-inference-steps", "error: Unknown option '--num-inference-steps'; use --steps\n"),
      ("--init-img", "error: Unknown option '--init-img'; use `streamflow edit IMAGE PROMPT`"),
      ("--cuont", "error: Unknown option '--cuont'. Did you mean '--count'?\n"),
    ] {
      let outcome = try runner.run(["generate", "fox", option, "x"])
      #expect(outcome.status == 64 && outcome.error.hasPrefix(message), "\(outcome.error)")
      #expect(outcome.error.contains("Usage: streamflow generate "))
    }
  }

  @Test("A random seed is reported, and gives the same image when it is asked for")
  func randomSeed() throws {
    for arguments in [["--seed", "-1"], ["-s", "-1"], ["--seed=-1"], []] {
      let outcome = try runner.run(
        ["generate", "fox", "--output", "a.png", "--overwrite"] + arguments)
      #expect(outcome.status == 0, "\(outcome.error)")
      let match = try #require(outcome.output.firstMatch(of: /, seed (\d+): .*a\.png\n/))
      let again = try runner.run([
        "generate", "fox", "--output", "b.png", "--overwrite", "--seed", String(match.1),
      ])
      #expect(again.status == 0 && !again.output.contains(", seed "))
      let files = try ["a.png", "b.png"].map {
        try Data(contentsOf: URL(filePath: "\(runner.folder.path)/\($0)"))
      }
      #expect(files[0] == files[1])
    }
    let several = try runner.run(["generate", "fox", "--count", "3"])
    let seeds = try #require(several.output.firstMatch(of: /, seeds (\d+) to (\d+): out\n/))
    #expect(UInt64(seeds.2) == UInt64(seeds.1).map { $0 + 2 })
  }

  @Test("A prompt from standard input, a file in the place of a prompt, and arguments swapped")
  func places() throws {
    _ = try runner.folder.write(Array("fox\nrocket\n".utf8), as: "prompts.txt")
    let process = runner.process(["generate", "-", "--seed", "1", "--quiet"])
    process.standardInput = FileHandle(forReadingAtPath: "\(runner.folder.path)/prompts.txt")
    process.standardOutput = FileHandle.nullDevice
    try process.run()
    process.waitUntilExit()
    #expect(try runner.files("out") == ["0001-fox.png", "0002-rocket.png"])
    #expect(
      try runner.run(["generate", "prompts.txt"]).error.hasPrefix(
        "warning: the prompt 'prompts.txt' is the name of a file; --prompts-file reads prompts "
          + "from a file\n"))
    let image = try runner.run(["generate", "out/0001-fox.png"])
    #expect(image.error.contains("`streamflow edit 'out/0001-fox.png' PROMPT` starts from"))
    let swapped = try runner.run(["transform", "a rocket", "out/0001-fox.png"])
    #expect(
      swapped.error.hasPrefix(
        "error: The input comes first, the prompt last. Try: streamflow edit "
          + "out/0001-fox.png \"a rocket\"\n"))
  }

  @Test("The words of a prompt without quotes get a hint, and prompts do not")
  func quotes() throws {
    let outcome = try runner.run(["generate", "a", "fox", "on", "grass", "--seed", "1"])
    #expect(outcome.status == 0)
    #expect(
      outcome.error.hasPrefix(
        "warning: 4 prompts of one word each make 4 images; for one image quote the prompt: "
          + "streamflow generate \"a fox on grass\"\n"))
    #expect(GenerateCommand.quotingHint(["fox", "rocket", "sushi"]) == nil)
    #expect(GenerateCommand.quotingHint(["a fox", "a rocket"]) == nil)
    #expect(GenerateCommand.quotingHint(["fox"]) == nil)
    #expect(GenerateCommand.quotingHint(["red", "fox", "blue", "sky", "high"]) != nil)
  }
}
