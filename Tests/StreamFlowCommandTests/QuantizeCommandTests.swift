import FlowTestSupport
import Foundation
import Testing

/// 8-bit scales on the command line.
@Suite(.tags(.process)) struct QuantizeCommandTests {
  private let runner: CommandRunner

  init() throws { runner = try CommandRunner() }

  @Test("Scales are measured, reported, stored where requested, not written over, and used")
  func quantized() throws {
    _ = try runner.folder.write(Array("dog\nred car\n".utf8), as: "prompts.txt")
    let options = [
      "quantize", "starter", "--output", "scales", "--prompts-file", "prompts.txt", "--steps", "4",
      "--float-share", "0", "--no-vae",
    ]
    let outcome = try runner.run(options)
    #expect(outcome.status == 0, "\(outcome.error)")
    #expect(outcome.output.hasPrefix("unet: 93 layers in int8, 95 % of the operations; 0 stay"))
    #expect(outcome.output.hasSuffix("scales/streamflow-int8.json\n"))
    let again = try runner.run(options)
    #expect(again.status != 0 && again.error.contains("--overwrite"))
    let json = try runner.run(options + ["--overwrite", "--json"])
    #expect(json.output.contains("\"evaluations\" : 8"), "\(json.output)")
    let made = try runner.run([
      "generate", "dog", "--precision", "int8", "--scales", "scales", "--seed", "1", "--quiet",
    ])
    #expect(made.status == 0, "\(made.error)")
  }

  @Test("int8 that cannot be says why, before anything is made")
  func refusals() throws {
    func refused(_ arguments: [String], _ words: String) throws {
      let outcome = try runner.run(["generate", "dog", "--quiet"] + arguments)
      #expect(outcome.status != 0 && outcome.error.contains(words), "\(outcome.error)")
    }
    try refused(["--precision", "int8", "--scales", "nowhere"], "streamflow quantize")
    try refused(["--scales", "nowhere"], "--precision int8 or fast")
    try refused(["--precision", "fast", "--scales", "nowhere"], "streamflow quantize")
    try refused(["--precision", "int4"], "int8")
    let written = try runner.run(["quantize", "starter"])
    #expect(written.status != 0 && written.error.contains("--overwrite"), "\(written.error)")
    let share = try runner.run(["quantize", "starter", "--float-share", "1", "--output", "x"])
    #expect(share.status != 0 && share.error.contains("--float-share must be 0 to below 1"))
    let plan = try runner.run([
      "quantize", "starter", "--schedule", "perflow:windows=4", "--steps", "3", "--output", "x",
    ])
    #expect(plan.status != 0 && plan.error.contains("windows"), "\(plan.error)")
    _ = try runner.folder.write([1], as: "file")
    let place = try runner.run(["quantize", "starter", "--output", "file/x"])
    #expect(place.status != 0 && place.error.contains("choose another path"), "\(place.error)")
  }
}
