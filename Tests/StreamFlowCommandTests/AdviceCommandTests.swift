import FlowTestSupport
import Foundation
import Testing

/// What the command says of prompts and sizes that the starter was not trained for.
@Suite(.serialized, .tags(.process)) struct AdviceCommandTests {
  private static let remedy = "list what it knows with: streamflow inspect starter --prompts\n"

  @Test("Unknown words are warned of on standard error, each once, with the nearest known word")
  func words() throws {
    let runner = try CommandRunner()
    let outcome = try runner.run([
      "generate", "a foks on a blu background", "a foks on a red background", "--steps", "1",
    ])
    #expect(outcome.status == 0, "\(outcome.error)")
    #expect(
      outcome.error == """
        warning: the starter does not know 'foks'; nearest: fox
        warning: the starter does not know 'blu'; nearest: blue
        warning: 2 prompts, 'a foks on a blu background' the first, name none of the 435 things that \
        the starter can draw

        """ + Self.remedy)
    let known = try runner.run(["generate", "A fox, on a (blue:1.2) background!", "--steps", "1"])
    #expect(known.status == 0 && known.error == "", "\(known.error)")
  }

  @Test("--json carries the warnings, and --quiet prints none")
  func reports() throws {
    struct Report: Decodable {
      struct Warning: Decodable {
        let code: String
        let message: String
      }

      let warnings: [Warning]
    }
    let runner = try CommandRunner()
    let outcome = try runner.run(["generate", "zxcvb", "--steps", "1", "--json", "--width", "96"])
    let report = try JSONDecoder().decode(Report.self, from: Data(outcome.output.utf8))
    #expect(
      report.warnings.map(\.code) == ["unknown_word", "unknown_subject", "unsuitable_size"])
    #expect(report.warnings.last?.message.contains("was trained for 64x64 pixels") == true)
    let quiet = try runner.run(["generate", "zxcvb", "--steps", "1", "--quiet"])
    #expect(quiet.status == 0 && quiet.error == "" && quiet.output == "")
  }

  @Test("A size far from the model's own is warned of before the work begins")
  func sizes() throws {
    let runner = try CommandRunner()
    let process = runner.process(["generate", "a fox", "--width", "2048", "--height", "2048"])
    let errors = Pipe()
    process.standardError = errors
    process.standardOutput = FileHandle.nullDevice
    try process.run()
    var text = ""
    while !text.contains("\n"), case let data = errors.fileHandleForReading.availableData,
      !data.isEmpty
    { text += String(decoding: data, as: UTF8.self) }
    kill(process.processIdentifier, SIGKILL)
    process.waitUntilExit()
    #expect(
      text.hasPrefix(
        "warning: the starter was trained for 64x64 pixels; 2048x2048 is outside what it was trained "
          + "for, with 1024 times as many pixels to compute\n"), "\(text)")
  }

  @Test("transform and video warn too")
  func others() throws {
    let runner = try CommandRunner()
    #expect(
      try runner.run(["generate", "a fox", "--steps", "1", "--output", "in.png"]).status == 0)
    let transformed = try runner.run(["transform", "in.png", "a foks", "--steps", "1"])
    #expect(transformed.status == 0)
    #expect(transformed.error.contains("the starter does not know 'foks'; nearest: fox\n"))
    let video = try runner.run(["video", "in.png", "a castle", "--steps", "1", "-o", "out.y4m"])
    #expect(video.error.contains("warning: the starter does not know 'castle'\n"), "\(video.error)")
  }

  @Test("inspect --prompts lists what a model knows")
  func listing() throws {
    let runner = try CommandRunner()
    let list = try runner.run(["inspect", "starter", "--prompts"])
    #expect(list.status == 0)
    let lines = list.output.split(separator: "\n")
    #expect(lines.filter { $0.hasPrefix("  ") }.count == 435)
    #expect(
      lines.contains("  fox (fox face)")
        && lines.contains("  santa claus (santa, claus, father)"))
    #expect(lines[0] == "prompt       {subject} on a {background} background")
    let json = try runner.run(["inspect", "starter", "--prompts", "--json"])
    let object = try JSONSerialization.jsonObject(with: Data(json.output.utf8)) as? [String: Any]
    #expect((object?["subjects"] as? [Any])?.count == 435)
    #expect((object?["sizes"] as? [String]) == ["64x64"])
    let report = try runner.run(["inspect", "starter"])
    #expect(report.output.contains("prompts    435 things on 10 backgrounds; --prompts lists them"))
  }
}
