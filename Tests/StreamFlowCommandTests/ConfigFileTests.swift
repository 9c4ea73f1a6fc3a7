import ArgumentParser
import Foundation
import Testing

@testable import StreamFlowCommand

/// What settings files become.
@Suite struct ConfigFileTests {
  private let files: ConfigTranslation

  init() throws { files = try ConfigTranslation() }

  @Test("Every option of every command can be set, and the parser knows what it becomes")
  func everyOption() throws {
    var count = 0
    for (name, syntax) in files.root.leaves() {
      let command = name.split(separator: " ").map(String.init)
      let options = (syntax.arguments ?? []).filter { argument in
        argument.shouldDisplay
          && argument.preferredName.map { !SettingTable.reserved.contains($0.name) } ?? false
      }
      // Both names of an inverted flag are one setting; it has a test of its own.
      let lines = options.filter { $0.preferredName?.name != "no-partial-decode" }.map {
        let (name, isFlag) = ($0.preferredName?.name ?? "", $0.kind == .flag)
        return (
          text: "\(name): \(isFlag ? "true" : "'some: value'")",
          argument: isFlag ? "--\(name)" : "--\(name)=some: value"
        )
      }
      count += lines.count
      let made = try files.runs(command, lines.map(\.text).joined(separator: "\n"))[0]
      #expect(made.sorted() == (command + lines.map(\.argument)).sorted())
      // One command is enough: the names of all come from the parser.
      guard name == "generate" else { continue }
      for argument in made.dropFirst() { #expect(!isUnknown(argument), "\(argument)") }
      #expect(isUnknown("--unknown=value"))
    }
    #expect(count > 300)
  }

  /// Whether the parser does not know an option of `generate`; its message would take long.
  private func isUnknown(_ argument: String) -> Bool {
    do { _ = try GenerateCommand.parse([argument, "a fox"]) } catch {
      return "\(error)".contains("unknownOption")
    }
    return false
  }

  @Test("An empty value is a value")
  func emptyValue() throws {
    let made = try files.runs(["generate", "a fox"], "negative-prompt: ''\nsteps: 2")[0]
    let command = try GenerateCommand.parse(Array(made.dropFirst()))
    #expect(command.sampling.negativePrompt == "" && command.prompts == ["a fox"])
  }

  @Test("Every command with options takes --config and --run, and no option has their keys")
  func everyCommand() throws {
    for (name, syntax) in files.root.leaves() {
      let options = (syntax.arguments ?? []).compactMap(\.preferredName?.name)
      let own = options.filter { !SettingTable.reserved.contains($0) }
      #expect(own.isEmpty || (options.contains("config") && options.contains("run")), "\(name)")
      let table = SettingTable(syntax, command: name)
      #expect(table.place(of: "runs") == nil && table.place(of: "config") == nil)
      #expect(Set(table.settings.map(\.key)).count == table.settings.count, "\(name)")
    }
  }

  @Test("Values, lists, flags and arguments become arguments; null and false are absent")
  func translation() throws {
    #expect(
      try files.arguments(
        "generate",
        """
        prompts: [a fox, "-5 degrees"]
        steps: 4
        cfg: 1.50
        negative_prompt: ""
        lora: [a.safetensors:0.8, b.safetensors]
        overwrite: true
        resume: false
        seed: ~
        """)
        == "generate --lora=a.safetensors:0.8 --lora=b.safetensors --steps=4 "
        + "--guidance-scale=1.50 --negative-prompt  --overwrite -- a fox -5 degrees")
    #expect(try files.runs(["generate"], "") == [["generate"]])
    #expect(
      try files.arguments("video", "overlap: on\ncertain: yes\n") == "video --overlap=on --certain")
  }

  @Test("A flag's --no- is its false, and its key without no- means the same")
  func inversions() throws {
    #expect(try files.arguments("video", "partial-decode: false") == "video --no-partial-decode")
    #expect(try files.arguments("video", "no-partial-decode: false") == "video --partial-decode")
    #expect(try files.arguments("generate", "no-cache: true") == "generate --no-cache")
    #expect(try files.arguments("generate", "cache: false") == "generate --no-cache")
    #expect(try files.arguments("generate", "cache: true") == "generate")
    #expect(try files.arguments("quantize", "vae: a\nno-vae: true") == "quantize --vae=a --no-vae")
    #expect(
      try files.arguments("video --partial-decode", "partial-decode: false")
        == "video --partial-decode")
  }

  @Test("Inputs and the prompt have keys of their own, and stand in their order")
  func words() throws {
    #expect(
      try files.arguments("transform", "prompt: a fox\ninput: [a.png, b.png]")
        == "transform -- a.png b.png a fox")
    #expect(try files.arguments("video", "prompt: a fox\ninput: '-'") == "video -- - a fox")
    #expect(try files.arguments("pull", "model: org/name") == "pull -- org/name")
    #expect(
      try files.arguments("cache clear", "older-than: 30d") == "cache clear --older-than=30d")
  }

  @Test("The command line replaces values, lists and arguments of the file")
  func precedence() throws {
    let text = "prompts: [a fox]\nlora: [a, b]\nsteps: 4\nseed: 1\noverwrite: true\n"
    #expect(
      try files.arguments("generate x --lora c -s 7 --config f", text)
        == "generate --steps=4 --overwrite x --lora c -s 7 --config f")
    #expect(
      try files.arguments("generate --steps=8 --config f -- x", text)
        == "generate --lora=a --lora=b --seed=1 --overwrite --steps=8 --config f -- x")
    #expect(
      try files.arguments("generate --cfg 3", "guidance-scale: 2\nprompts: x")
        == "generate --cfg 3 -- x")
  }

  @Test("Runs inherit, and each writes to a place of its own")
  func runsOfAFile() throws {
    #expect(
      try files.runs(["generate", "--config", "f"], ConfigTranslation.several).map {
        $0.joined(separator: " ")
      } == [
        "generate --seed=5 --steps=4 --contact-sheet=sheet.png --config f --output=out/plain "
          + "--contact-sheet=sheet-plain.png -- a fox",
        "generate --steps=8 --output=best --contact-sheet=sheet.png --config f "
          + "--contact-sheet=sheet-fine.png -- a fox",
        "generate --seed=5 --contact-sheet=sheet.png --config f --output=out/empty "
          + "--contact-sheet=sheet-empty.png -- a fox",
      ])
    let one = try files.runs(
      ["generate", "--config", "f", "--run", "fine", "-o", "x.png"], ConfigTranslation.several)
    #expect(
      one.map { $0.joined(separator: " ") } == [
        "generate --steps=8 --contact-sheet=sheet.png --config f --run fine -o x.png "
          + "--contact-sheet=sheet-fine.png -- a fox"
      ])
    let typed = try files.runs(["generate", "-o", "x", "--", "a cat"], ConfigTranslation.several)
    #expect(
      typed[1].suffix(4) == ["--output=x/fine", "--contact-sheet=sheet-fine.png", "--", "a cat"])
  }

  @Test(
    "A run's place is a folder in a folder, a file beside a file",
    arguments: [
      ("out", "out/a"), ("images/", "images/a"), (".", "a"), ("-", "-"), ("v1.5", "v1.5/a"),
      ("fox.png", "fox-a.png"), ("x/clip.tar.mp4", "x/clip.tar-a.mp4"),
    ])
  func places(path: String, expected: String) {
    #expect(RunOutputs.path(of: "a", in: path) == expected)
  }

  @Test("JSON is read with its tabs, its escapes and characters outside the basic plane")
  func json() throws {
    let text = "{\n\t\"prompts\": [\"\\ud83e\\udd8a \\u00e9 \\\\ud83e \\\"\"],\n\t\"steps\": 4\n}\n"
    #expect(
      try files.runs(["generate"], text) == [["generate", "--steps=4", "--", "🦊 é \\ud83e \""]])
  }

  @Test("The example of the documentation is a file of `generate`")
  func example() throws {
    let path = URL(filePath: #filePath).deletingLastPathComponent()
      .appending(path: "../../Documentation/CommandLine.md")
    let text = try String(contentsOf: path, encoding: .utf8)
    let example = try #require(text.components(separatedBy: "```yaml\n").dropFirst().first)
    let yaml = try #require(example.components(separatedBy: "```").first)
    let made = try files.runs(["generate"], yaml)
    #expect(made.count == 2)
    for arguments in made { _ = try StreamFlowCommand.parseAsRoot(arguments) }
    #expect(made[1].contains("--solver=heun") && made[1].contains("--output=images/fine"))
  }
}
