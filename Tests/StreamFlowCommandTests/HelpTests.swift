import FlowTestSupport
import Foundation
import Testing

/// Help and completions.
@Suite(.tags(.process)) struct HelpTests {
  private let runner: CommandRunner

  init() throws { runner = try CommandRunner() }

  /// The completion script for bash, which takes a second to write.
  private static let completionScript = Result {
    try CommandRunner().run(["--generate-completion-script", "bash"]).output
  }

  private struct Dump: Decodable {
    struct Command: Decodable {
      let commandName: String
      let discussion: String?
      let shouldDisplay: Bool
      let subcommands: [Command]?
    }
    let command: Command
  }

  @Test("Examples stand in the help whole, on any terminal")
  func examples() throws {
    let text = try runner.run(["--experimental-dump-help"]).output
    let dump = try JSONDecoder().decode(Dump.self, from: Data(text.utf8))
    let commands = try #require(dump.command.subcommands).filter {
      $0.shouldDisplay && $0.commandName != "help"
    }
    #expect(commands.count >= 10)
    for command in commands {
      let name = command.commandName
      let help = try runner.run([name, "--help"], environment: ["COLUMNS": "40"]).output
      let lines = (command.discussion ?? "").split(separator: "\n").map(String.init)
      for line in lines where line.contains("streamflow ") && line.hasPrefix("  ") {
        #expect(help.contains("\n\(line)\n"), "\(name): \(line)")
      }
    }
  }

  @Test("The first screen of the help is stable")
  func overview() throws {
    let help = try runner.run(["--help"]).output
    #expect(
      help.hasPrefix(
        """
        OVERVIEW: Generates images with rectified-flow models, many in flight at once.

        A first image:       streamflow generate "a fox on a blue background"
        Image to image:      streamflow edit photo.jpg "a fox"
        Video to video:      streamflow video clip.mp4 "a fox" --output fox.mp4
        In a browser:        streamflow serve
        About a model:       streamflow inspect starter
        Speed of a machine:  streamflow benchmark
        What is missing:     streamflow doctor

        """))
    #expect(try runner.run(["serve", "--help"]).output.contains("LIMITS:"))
  }

  @Test(
    "Every option that takes a path completes file names in bash",
    arguments: [
      ("generate", "--prompts-file", "prompts.txt"), ("generate", "--from", "image.png"),
      ("generate", "--output", "image.png"), ("generate", "-o", "image.png"),
      ("generate", "--config", "run.yaml"), ("generate", "--contact-sheet", "image.png"),
      ("generate", "--model", "model.safetensors"),
      ("generate", "--vae", "model.safetensors"), ("generate", "--lora", "model.safetensors"),
      ("generate", "--delta-weights", "model.safetensors"), ("generate", "--scales", "scales.json"),
      ("edit", "", "image.png"), ("edit", "--output", "image.png"),
      ("video", "", "clip.mp4"), ("video", "--output", "clip.mp4"), ("video", "--model", "images"),
      ("upscale", "", "image.png"), ("upscale", "--upscaler", "model.safetensors"),
      ("serve", "--model", "model.safetensors"), ("serve", "--token-file", "prompts.txt"),
      ("serve", "--results", "images"), ("inspect", "", "image.png"),
      ("quantize", "", "model.safetensors"), ("quantize", "--prompts-file", "prompts.txt"),
      ("quantize", "--output", "scales.json"), ("configure", "", "model.safetensors"),
      ("benchmark", "--model", "model.safetensors"), ("benchmark", "--output", "images"),
      ("benchmark", "--references", "images"), ("benchmark", "--scales", "scales.json"),
    ])
  func completions(command: String, option: String, file: String) throws {
    for name in [
      "image.png", "prompts.txt", "model.safetensors", "clip.mp4", "scales.json", "run.yaml",
    ] {
      _ = try runner.folder.write([], as: name)
    }
    _ = try runner.folder.write([], as: "images/one.png")
    let script = try Self.completionScript.get()
    _ = try runner.folder.write(Array(script.utf8), as: "completion.bash")
    let words = ["streamflow", command] + (option.isEmpty ? [] : [option]) + [""]
    let bash = Process()
    bash.executableURL = URL(filePath: "/bin/bash")
    bash.currentDirectoryURL = URL(filePath: runner.folder.path)
    bash.arguments = [
      "--norc", "-c",
      """
      source completion.bash
      COMP_WORDS=(\(words.map { "'\($0)'" }.joined(separator: " ")))
      COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
      COMP_LINE="${COMP_WORDS[*]}"
      COMP_POINT=${#COMP_LINE}
      _streamflow streamflow '' '\(words[words.count - 2])' 2>/dev/null
      printf '%s\\n' "${COMPREPLY[@]}"
      """,
    ]
    let pipe = Pipe()
    bash.standardOutput = pipe
    try bash.run()
    let output = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    bash.waitUntilExit()
    #expect(output.split(separator: "\n").contains { $0 == file }, "\(output)")
  }
}
