import Foundation
import HTTPTypes
import Testing

@testable import FlowCore
@testable import FlowEngine
@testable import FlowGraph
@testable import FlowImage
@testable import FlowModels
@testable import FlowServer
@testable import FlowText
@testable import StreamFlow

/// What clients learn of every kind of failure.
@Suite struct ServerErrorTests {
  private static let secret = "/secret/place"

  /// An error of each code of each target that the server uses, and what becomes of it.
  private static let answers: [(name: String, answer: ServerError)] =
    ModelError.Code.allCases.map { ("\($0)", ServerError(ModelError(code: $0, message: secret))) }
    + GraphError.Code.allCases.map { ("\($0)", ServerError(GraphError(code: $0, message: secret))) }
    + TextError.Code.allCases.map { ("\($0)", ServerError(TextError(code: $0, message: secret))) }
    + PlanError.Code.allCases.map { ("\($0)", ServerError(PlanError(code: $0, message: secret))) }
    + EngineError.Code.allCases.map {
      ("\($0)", ServerError(EngineError(code: $0, message: secret)))
    }
    + MediaError.Code.allCases.map { ("\($0)", ServerError(MediaError(code: $0, message: secret))) }
    + ResultStoreError.Code.allCases.map {
      ("\($0)", ServerError(ResultStoreError(code: $0, message: secret)))
    }

  @Test("Only failures of videos, which the server does not make, have no code of their own")
  func generic() {
    #expect(
      Self.answers.filter { $0.answer.code == "internal_error" }.map(\.name) == [
        "ffmpegMissing", "encoderMissing", "videoUnreadable", "videoStreamMissing",
        "videoCutShort", "outputIsInput", "interrupted",
      ])
    #expect(
      Set(Self.answers.filter { $0.answer.status.code == 500 }.map(\.answer.code)) == [
        "internal_error", "not_finite", "engine_failed", "encoding_failed",
      ])
  }

  @Test("What may name a file of the server's stays in its log, and is there")
  func secrets() {
    for (name, answer) in Self.answers {
      let names = answer.message.contains(Self.secret)
      #expect(!names || (400..<500).contains(answer.status.code) || Self.plain.contains(name))
      #expect(!answer.message.contains("log says") || answer.isLogged, "\(name)")
    }
  }

  /// Failures of the server whose words are of sizes and numbers only.
  private static let plain: Set<String> = ["memoryInsufficient", "notFinite"]

  @Test("A model that cannot be read is never the client's fault")
  func loading() {
    for code in ModelError.Code.allCases where code != .memoryInsufficient {
      let answer = ServerError(loading: ModelError(code: code, message: Self.secret))
      #expect(answer.code == "model_unavailable" && !answer.message.contains(Self.secret))
      #expect(!ServerError.mustLog(answer))
    }
    #expect(ServerError.mustLog(GraphError(code: .weightsInvalid, message: "")))
    let unknown = ServerError(
      ModelError(code: .unsupported, message: Self.secret, settings: [.schedule]))
    #expect(unknown.code == "unsupported" && unknown.parameter == "schedule")
    #expect(!unknown.message.contains(Self.secret))
  }

  @Test("Models, plans, devices and disks have the statuses of their own")
  func statuses() {
    func check(_ error: any Error, _ status: Int, _ code: String) {
      let answer = ServerError(error)
      #expect(answer.status.code == status && answer.code == code, "\(error)")
    }
    for code in TextError.Code.allCases {
      check(TextError(code: code, message: ""), 503, "model_unavailable")
    }
    for code in GraphError.Code.allCases {
      check(GraphError(code: code, message: ""), 503, "model_unavailable")
    }
    for code in PlanError.Code.allCases {
      check(PlanError(code: code, message: ""), 400, "invalid_value")
    }
    check(EngineError(code: .runtimeMissing, message: ""), 503, "engine_unavailable")
    check(EngineError(code: .deviceUnavailable, message: ""), 503, "engine_unavailable")
    check(EngineError(code: .compilationFailed, message: ""), 500, "engine_failed")
    check(EngineError(code: .runFailed, message: ""), 500, "engine_failed")
    check(EngineError(code: .cacheUnusable, message: ""), 507, "storage_unavailable")
    check(ResultStoreError(code: .diskFull, message: ""), 507, "disk_full")
    check(CancellationError(), 503, "cancelled")
  }

  @Test("The errors of a server's set-up are described by their messages")
  func descriptions() {
    let setup: any Error = ServerSetupError("words")
    #expect(setup is any LocalizedError && setup.localizedDescription == "words")
    let models: any Error = ModelsUnavailable([("m", "words")], cause: setup)
    #expect(models.localizedDescription == "cannot load the model 'm': words")
  }
}
