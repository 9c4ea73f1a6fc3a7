import FlowCore
import FlowImage
import FlowTestSupport
import Foundation
import Testing

/// The built `streamflow`, run as a user runs it.
@Suite(.tags(.process)) struct CommandTests {
  private let runner: CommandRunner
  private var folder: TemporaryFolder { runner.folder }

  init() throws { runner = try CommandRunner() }

  private func run(
    _ arguments: [String], environment: [String: String] = [:]
  ) throws -> CommandRunner.Outcome {
    try runner.run(arguments, environment: environment)
  }

  private func process(
    _ arguments: [String], environment: [String: String] = [:]
  ) -> Process {
    runner.process(arguments, environment: environment)
  }

  private func files(_ name: String) throws -> [String] { try runner.files(name) }

  @Test("A prompt becomes an image that says how it was made")
  func generate() throws {
    let outcome = try run([
      "generate", "A fox, on a blue background!", "--seed", "1", "--negative-prompt", "red",
      "--steps", "4", "--guidance-scale", "2",
    ])
    #expect(outcome.status == 0, "\(outcome.error)")
    #expect(try files("out") == ["0001-a-fox-on-a-blue-background.png"])
    let path = "out/0001-a-fox-on-a-blue-background.png"
    #expect(outcome.output.hasPrefix(path + "\n1 image in "))
    let picture = try PixelImage(
      png: Array(Data(contentsOf: URL(filePath: "\(folder.path)/\(path)"))))
    #expect(picture.width == 64 && picture.height == 64)
    let inspected = try run(["inspect", path])
    #expect(
      inspected.output == """
        A fox, on a blue background!
        Negative prompt: red
        Steps: 4, Sampler: euler, Schedule: flow-match, CFG scale: 2.0, Seed: 1, Size: 64x64, \
        Model: starter, RNG: CPU, Spacing: diffusers, Version: StreamFlow 0.1.0

        """)
  }

  @Test("Guidance and negative prompts that have no effect are reported")
  func idleGuidance() throws {
    func warning(_ options: String...) throws -> String {
      let outcome = try run(["generate", "fox", "--seed", "1", "--overwrite"] + options)
      #expect(outcome.status == 0)
      return outcome.error
    }
    let idle = "warning: the negative prompt does nothing here"
    #expect(try warning("--negative-prompt", "red").hasPrefix(idle))
    #expect(try warning("--guidance", "full").hasPrefix("warning: guidance of scale 1"))
    #expect(try warning("--guidance-scale", "2", "--negative-prompt", "red").isEmpty)
    #expect(try warning().isEmpty)
  }

  @Test("A variation seed of strength 0 changes nothing, and one of strength 1 everything")
  func variations() throws {
    func pixels(_ name: String, _ options: [String]) throws -> [UInt8] {
      let outcome = try run(["generate", "rocket", "--output", "\(name).png"] + options)
      #expect(outcome.status == 0, "\(outcome.error)")
      return try PixelImage(
        png: Array(Data(contentsOf: URL(filePath: "\(folder.path)/\(name).png")))
      )
      .pixels
    }
    let (base, other) = (try pixels("a", ["--seed", "3"]), try pixels("b", ["--seed", "4"]))
    let variation = ["--seed", "3", "--variation-seed", "4", "--variation-strength"]
    #expect(try pixels("c", variation + ["0"]) == base)
    #expect(try pixels("d", variation + ["1"]) == other)
    let third = try pixels("e", variation + ["0.3"])
    #expect(third != base && third != other)
    // The image says it, and another can be made from what it says.
    #expect(
      try run(["inspect", "e.png"]).output.contains(
        "Variation seed: 4, Variation seed strength: 0.3"))
    #expect(try pixels("f", ["--from", "e.png"]) == third)
    #expect(try pixels("g", ["--seed", "3", "--seed-blend", "4:0.3"]) == third)
    for (options, words) in [
      (["--variation-strength", "0.5"], "needs --variation-seed"),
      (["--variation-seed", "4", "--variation-strength", "1.5"], "0 to 1, got 1.5"),
      (["--variation-seed", "4", "--seed-blend", "4:0.3"], "leave one out"),
    ] {
      let outcome = try run(["generate", "rocket"] + options)
      #expect(outcome.status == 64 && outcome.error.contains(words), "\(outcome.error)")
    }
  }

  @Test("Prompts are weighted and as long as need be, or plain, which the image says")
  func promptSyntax() throws {
    let prompt = "a (red:1.5) fox"
    func generate(_ name: String, _ prompt: String, _ options: String...) throws
      -> CommandRunner.Outcome
    {
      try run(["generate", prompt, "--seed", "1", "--output", "\(name).png"] + options)
    }
    func pixels(_ name: String) throws -> [UInt8] {
      try PixelImage(png: Array(Data(contentsOf: URL(filePath: "\(folder.path)/\(name).png"))))
        .pixels
    }
    #expect(try generate("weighted", prompt).status == 0)
    #expect(try generate("plain", prompt, "--prompt-syntax", "plain").status == 0)
    #expect(try generate("escaped", #"a \(red:1.5\) fox"#).status == 0)
    #expect(try pixels("plain") == pixels("escaped"))
    #expect(try pixels("plain") != pixels("weighted"))
    #expect(try run(["inspect", "weighted.png"]).output.contains("Prompt syntax") == false)
    #expect(try run(["inspect", "plain.png"]).output.contains(", Prompt syntax: plain, Version"))

    let long = String(repeating: "fox ", count: 46)
    #expect(try generate("long", long).error.isEmpty)
    let cut = try generate("cut", long, "--prompt-syntax", "plain")
    #expect(
      cut.error
        == "warning: the text encoder has no room for the end of a prompt: "
        + "'fox fox fox fox fox fox fox fox' was cut\n")
  }

  @Test("A model without a known schedule is configured once, and known from then on")
  func configure() throws {
    let fixture = URL(filePath: #filePath).deletingLastPathComponent()
      .appending(path: "../StreamFlowTests/Fixtures/models/sd").standardizedFileURL.path
    try FileManager.default.copyItem(atPath: fixture, toPath: "\(folder.path)/mine")
    let scheduler = "\(folder.path)/mine/scheduler/scheduler_config.json"
    try String(contentsOfFile: scheduler, encoding: .utf8)
      .replacing("EulerDiscreteScheduler", with: "DEISMultistepScheduler")
      .write(toFile: scheduler, atomically: true, encoding: .utf8)
    let unknown = try run(["generate", "fox", "--model", "mine"])
    #expect(unknown.status == 65 && unknown.error.contains("streamflow configure"))

    let configured = try run([
      "configure", "mine", "--schedule", "perflow:windows=2", "--steps", "2",
    ])
    #expect(configured.output == "mine/streamflow.json\n", "\(configured.error)")
    let report = try run(["inspect", "mine"]).output
    #expect(
      report.contains(
        "plan       perflow:windows=2,prediction=diff_eps ('mine/streamflow.json' says so)"))
    #expect(report.contains("2 steps, guidance 4.5"))
    let made = try run([
      "generate", "fox", "--model", "mine", "--seed", "1", "--guidance", "onetime-negative",
    ])
    #expect(made.status == 0, "\(made.error)")
    #expect(try run(["inspect", "out/0001-fox.png"]).output.contains("Guidance: onetime-negative"))

    let refused = try run(["generate", "fox", "--model", "mine", "--guidance", "self-negative"])
    #expect(refused.status == 64 && refused.error.contains("has none; choose onetimeNegative"))
    let impossible = try run(["configure", "mine", "--steps", "1"])
    #expect(impossible.status == 64 && impossible.error.contains("takes 2 to 1000 steps, got 1"))
    #expect(try run(["configure", "mine"]).error.contains("Missing a default to store"))
  }

  @Test("Nothing is overwritten unless asked; the same seed gives the same bytes")
  func numbering() throws {
    for _ in 0..<2 {
      let outcome = try run(["generate", "fox", "rocket", "--count", "2", "--seed", "5", "--quiet"])
      #expect(outcome.status == 0 && outcome.output.isEmpty && outcome.error.isEmpty)
    }
    let names = try files("out")
    #expect(
      names == [
        "0001-fox.png", "0002-fox.png", "0003-rocket.png", "0004-rocket.png", "0005-fox.png",
        "0006-fox.png", "0007-rocket.png", "0008-rocket.png",
      ])
    func bytes(_ name: String) throws -> Data {
      try Data(contentsOf: URL(filePath: "\(folder.path)/out/\(name)"))
    }
    #expect(try bytes("0001-fox.png") == bytes("0005-fox.png"))
    #expect(try bytes("0001-fox.png") != bytes("0002-fox.png"))
    #expect(try run(["generate", "fox", "--output", "out/0001-fox.png"]).status == 73)
    let before = try bytes("0001-fox.png")
    #expect(
      try run(["generate", "fox", "--seed", "9", "--output", "out/0001-fox.png", "--overwrite"])
        .status == 0)
    #expect(try bytes("0001-fox.png") != before)
    #expect(try files("out") == names)
  }

  @Test("JSON carries files, settings and times; a contact sheet and JPEG come as asked")
  func json() throws {
    _ = try folder.write(Array("fox\n\n  rocket \n".utf8), as: "prompts.txt")
    let outcome = try run([
      "generate", "--prompts-file", "prompts.txt", "--format", "jpeg", "--quality", "80", "--json",
      "--contact-sheet", "sheet.png", "--solver", "heun", "--steps", "2", "--guidance-scale", "1",
      "--seed", "3", "--output", "pictures",
    ])
    #expect(outcome.status == 0, "\(outcome.error)")
    struct Report: Decodable {
      struct Picture: Decodable {
        let file: String
        let prompt: String
        let seed: Int
      }
      let pictures: [Picture]
      let ticks: Int
      let contact_sheet: String
      let images_per_second: Double
    }
    let report = try JSONDecoder().decode(Report.self, from: Data(outcome.output.utf8))
    #expect(report.pictures.map(\.prompt) == ["fox", "rocket"])
    #expect(report.pictures.map(\.seed) == [3, 4])
    #expect(report.ticks == 3 && report.images_per_second > 0)
    #expect(try files("pictures") == ["0001-fox.jpg", "0002-rocket.jpg"])
    let jpeg = try Data(contentsOf: URL(filePath: "\(folder.path)/pictures/0001-fox.jpg"))
    #expect(try PixelImage(jpeg: Array(jpeg)).width == 64)
    let again = try run(["generate", "x", "--contact-sheet", "sheet.png"])
    #expect(again.status == 73)
    #expect(again.error == "error: 'sheet.png' exists already; --overwrite replaces it\n")
    let sheet = try Data(contentsOf: URL(filePath: "\(folder.path)/sheet.png"))
    #expect(try PixelImage(png: Array(sheet)).width == 8 + 2 * (256 + 8))
  }

  @Test(
    "A mistake is one line and an exit code",
    arguments: [
      (
        ["generate", "x", "--model", "nowhere"], 66,
        "error: there is no model at 'nowhere'; expected a folder"
      ),
      (
        ["generate", "x", "--width", "63"], 64,
        "error: width must be a multiple of 4 from 4 to 16384 pixels for starter, got 63; 64 is the nearest"
      ),
      (["generate", "x", "--steps", "0"], 64, "error: --steps must be 1 to 1000, got 0"),
      (["generate"], 64, "error: Missing a prompt. Try: streamflow generate"),
      (["generate", "x", "--count", "0"], 64, "error: --count must be 1 to 1000000, got 0"),
      (
        ["generate", "x", "--batch-size", "none"], 64,
        "error: The value 'none' is invalid for '--batch-size <batch-size>'"
      ),
      (
        ["generate", "fox", "--device", "TPU"], 69,
        "error: there is no device 'TPU'; this machine has CPU"
      ),
      (
        ["generate", "fox", "--schedule", "perflow", "--steps", "2"], 64,
        "error: the piecewise schedule of 4 windows takes 4 to 1000 steps, got 2"
      ),
      (
        ["generate", "fox", "--batch-size", "1", "--guidance-scale", "3"], 64,
        "error: this guidance takes 2 rows"
      ),
      (["generate", "x", "--prompts-file", "gone.txt"], 66, "error: there is no file 'gone.txt'"),
      (
        ["generate", "x", "y", "--output", "one.png"], 64,
        "error: --output 'one.png' is one file, and there are 2 images; name a folder"
      ),
      (
        ["generate", "x", "--output", "/dev/null/out"], 73,
        "error: cannot create the folder '/dev/null/out': not a directory; choose another with --output"
      ),
      (
        ["generate", "fox", "--steps", "4", "--guidance-scale", "3e38"], 70,
        "error: image 1 (seed"
      ),
      (["inspect", "nowhere"], 66, "error: there is no model at 'nowhere'"),
      (
        ["frobnicate"], 64,
        "error: there is no command 'frobnicate'; streamflow has generate, "
      ),
    ])
  func mistakes(arguments: [String], status: Int32, expected: String) throws {
    let outcome = try run(arguments)
    #expect(outcome.status == status)
    #expect(outcome.error.hasPrefix(expected), "\(outcome.error)")
    // The parser's own errors are followed by the usage.
    if status != 64 { #expect(outcome.error.filter { $0 == "\n" }.count == 1) }
    #expect(!outcome.error.contains("Error:"))
  }

  @Test("A size beyond the memory is refused after a warning that the model was not trained for it")
  func memory() throws {
    let outcome = try run(["generate", "fox", "--width", "16384", "--height", "16384"])
    #expect(outcome.status == 71)
    let lines = outcome.error.split(separator: "\n")
    #expect(lines.count == 2, "\(outcome.error)")
    #expect(lines.first?.hasPrefix("warning: the starter was trained for 64x64 pixels;") == true)
    #expect(lines.last?.hasPrefix("error: the engines take about") == true)
  }

  @Test("No runtime is exit code 69 and the way to get one")
  func runtime() throws {
    let outcome = try run(["generate", "fox"], environment: ["STREAMFLOW_OPENVINO": folder.path])
    #expect(outcome.status == 69)
    #expect(
      outcome.error
        == "error: OpenVINO 2026.4 was not found; install it with `pip install "
        + "'openvino==2026.4.*'`, set STREAMFLOW_OPENVINO to the folder of that package if it is "
        + "not found, or run `make setup` in a checkout of StreamFlow (the folder in "
        + "STREAMFLOW_OPENVINO holds no such library)\n")
  }

  @Test("Ctrl-C ends cleanly and keeps what is done")
  func interrupt() async throws {
    let process = process(["generate", "fox", "--count", "100000"])
    let log = "\(folder.path)/log"
    _ = FileManager.default.createFile(atPath: log, contents: nil)
    process.standardOutput = FileHandle(forWritingAtPath: log)
    process.standardError = FileHandle.nullDevice
    try process.run()
    var waited = 0
    while try Data(contentsOf: URL(filePath: log)).isEmpty, waited < 600 {
      try await Task.sleep(for: .milliseconds(100))
      waited += 1
    }
    process.interrupt()
    process.waitUntilExit()
    #expect(process.terminationStatus == 130 && process.terminationReason == .exit)
    let names = try files("out")
    #expect(!names.isEmpty && names.allSatisfy { $0.hasSuffix("-fox.png") })
    for name in names {
      let data = try Data(contentsOf: URL(filePath: "\(folder.path)/out/\(name)"))
      _ = try PixelImage(png: Array(data))
    }
    let text = try String(contentsOfFile: log, encoding: .utf8)
    #expect(text.contains("\(names.count) of 100000 images"))
  }

  @Test("A model is inspected in words and in JSON")
  func inspect() throws {
    let words = try run(["inspect", "starter"]).output
    for part in [
      "family     StableDiffusionPipeline", "5.9 M parameters, F16, 11.7 MB",
      "64x64 pixels, 1 step, guidance 1.0",
      "unet 16x16x16",
    ] { #expect(words.contains(part), "\(words)") }
    struct Report: Decodable { let name: String, memory_byte_count: Int }
    let json = try run(["inspect", "starter", "--json"]).output
    let report = try JSONDecoder().decode(Report.self, from: Data(json.utf8))
    #expect(report.name == "starter" && report.memory_byte_count > 0)
  }

  @Test("Help, version and completions")
  func help() throws {
    #expect(try run(["--version"]).output == "0.1.0\n")
    let help = try run(["generate", "--help"]).output
    for option in [
      "--model", "--count", "--seed", "--steps", "--width", "--height", "--guidance-scale",
      "--negative-prompt", "--prompt-syntax", "--solver", "--schedule", "--batch-size", "--output",
      "--format",
      "--quality",
      "--device", "--threads", "--precision", "--prompts-file", "--json", "--quiet", "Examples:",
    ] { #expect(help.contains(option), "no \(option)") }
    let completions = try run(["--generate-completion-script", "bash"]).output
    #expect(completions.contains("_streamflow"))
    // Values as they are written, not as Swift names them.
    let words = help.split(whereSeparator: \.isWhitespace).joined(separator: " ")
    #expect(words.contains("(values: auto, fast, f32, bf16, f16, int8, int8+bf16, int8+f16)"))
    for text in [help, completions] { #expect(!text.contains("float(")) }
    let refused = try run(["generate", "cat", "--precision", "f64"])
    #expect(refused.status == 64 && refused.error.contains("\n  - bf16\n"))
  }
}
