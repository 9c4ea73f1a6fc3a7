import FlowModels
import FlowTestSupport
import Foundation
import Testing

/// The model that the command's `starter` is: the embedded one, or that of `STREAMFLOW_STARTER`.
@Suite(.tags(.process)) struct StarterCommandTests {
  private let runner: CommandRunner

  init() throws { runner = try CommandRunner() }

  private func inspect(_ starter: String) throws -> CommandRunner.Outcome {
    try runner.run(["inspect", "starter"], environment: ["STREAMFLOW_STARTER": starter])
  }

  @Test("The starter is the embedded model unless STREAMFLOW_STARTER names a folder")
  func folders() throws {
    let own = try inspect(Starter64.folder)
    #expect(own.status == 0, "\(own.error)")
    #expect(own.output.hasPrefix("model      starter (\(Starter64.folder))\n"), "\(own.output)")
    let embedded = try inspect("")
    #expect(embedded.status == 0, "\(embedded.error)")
    let path = try ModelLocation("starter", environment: [:]).path
    #expect(embedded.output.hasPrefix("model      starter (\(path))\n"), "\(embedded.output)")
  }

  @Test("A folder that is missing, or has no model, is an error that names it")
  func missing() throws {
    let nowhere = try inspect("/nowhere")
    #expect(nowhere.status == EX_NOINPUT && nowhere.output.isEmpty)
    #expect(
      nowhere.error == "error: STREAMFLOW_STARTER is '/nowhere', which is not a folder; set it to "
        + "a folder in diffusers' layout, or unset it to use the embedded model\n")
    let empty = try inspect(runner.folder.path)
    #expect(empty.status != 0 && empty.error.contains("\(runner.folder.path)/model_index.json"))
  }
}
