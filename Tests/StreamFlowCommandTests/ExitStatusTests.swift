import ArgumentParser
import FlowTestSupport
import Foundation
import Testing

@testable import FlowCore
@testable import FlowEngine
@testable import FlowGraph
@testable import FlowHub
@testable import FlowImage
@testable import FlowModels
@testable import FlowText
@testable import StreamFlow
@testable import StreamFlowCommand

/// The exit status of every kind of failure.
@Suite(.tags(.process)) struct ExitStatusTests {
  /// An error of each code of each target.
  private static let errors: [any Error] =
    ModelError.Code.allCases.map { ModelError(code: $0, message: "words") }
    + GraphError.Code.allCases.map { GraphError(code: $0, message: "words") }
    + TextError.Code.allCases.map { TextError(code: $0, message: "words") }
    + PlanError.Code.allCases.map { PlanError(code: $0, message: "words") }
    + EngineError.Code.allCases.map { EngineError(code: $0, message: "words") }
    + MediaError.Code.allCases.map { MediaError(code: $0, message: "words") }
    + HubError.Code.allCases.map { HubError($0, "words") }

  @Test("Only failures that no user can fix end with the status of an internal error")
  func generic() {
    let generic = Self.errors.filter { ExitStatus.of($0).rawValue == EX_SOFTWARE }.map(Self.name)
    #expect(
      generic == [
        "ModelError.notFinite", "EngineError.modelUnreadable", "EngineError.compilationFailed",
        "EngineError.runFailed", "EngineError.shapeMismatch", "MediaError.encodingFailed",
      ])
    for error in Self.errors {
      let status = ExitStatus.of(error).rawValue
      #expect((EX_USAGE...EX_CONFIG).contains(status) || status == 130, "\(Self.name(error))")
    }
  }

  @Test("Missing and damaged files, and impossible plans, end with their own statuses")
  func statuses() {
    func status(_ error: any Error) -> Int32 { ExitStatus.of(error).rawValue }
    #expect(status(TextError(code: .fileUnreadable, message: "")) == EX_NOINPUT)
    #expect(status(TextError(code: .tokenizerInvalid, message: "")) == EX_DATAERR)
    #expect(status(GraphError(code: .fileUnreadable, message: "")) == EX_NOINPUT)
    #expect(status(GraphError(code: .weightMissing, message: "")) == EX_DATAERR)
    for code in PlanError.Code.allCases {
      #expect(status(PlanError(code: code, message: "")) == EX_USAGE)
    }
  }

  @Test("Every public error is described by its message")
  func descriptions() {
    for error in Self.errors {
      #expect(error is any LocalizedError, "\(Self.name(error))")
      #expect(error.localizedDescription == "words")
      #expect("\(error)" == "words")
    }
  }

  @Test("The command alone, without its resources, says that they are missing")
  func resources() throws {
    let runner = try CommandRunner()
    let copy = URL(filePath: runner.folder.path).appending(path: "streamflow")
    try FileManager.default.copyItem(at: URL(filePath: BuiltCommand.path), to: copy)
    let process = runner.process(
      ["inspect", "starter"], environment: ["STREAMFLOW_STARTER": ""])
    process.executableURL = copy
    let pipe = Pipe()
    process.standardError = pipe
    process.standardOutput = FileHandle.nullDevice
    try process.run()
    let bytes = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    let message = String(decoding: bytes, as: UTF8.self)
    #expect(process.terminationReason == .exit && process.terminationStatus == EX_NOINPUT)
    #expect(message.hasPrefix("error: 'starter', a resource of this package, is missing"))
    #expect(message.contains("StreamFlow_FlowModels.") && message.contains(runner.folder.path))
  }

  private static func name(_ error: any Error) -> String {
    let code = Mirror(reflecting: error).children.first { $0.label == "code" }?.value
    return "\(type(of: error)).\(code.map { "\($0)" } ?? "")"
  }
}
