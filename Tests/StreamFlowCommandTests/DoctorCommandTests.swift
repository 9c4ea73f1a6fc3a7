import FlowEngine
import FlowTestSupport
import Foundation
import Testing

@testable import StreamFlowCommand

/// `streamflow doctor`, on this machine and where parts are missing.
@Suite(.tags(.process)) struct DoctorCommandTests {
  private let runner: CommandRunner

  init() throws { runner = try CommandRunner() }

  private struct Report: Decodable {
    struct Check: Decodable {
      let name: String
      let state: String
      let finding: String
      let remedy: String?
    }
    let version: String
    let works: Bool
    let checks: [Check]

    subscript(name: String) -> Check? { checks.first { $0.name == name } }
  }

  private func examine(_ environment: [String: String]) throws -> (status: Int32, report: Report) {
    let outcome = try runner.run(["doctor", "--json"], environment: environment)
    let report = try JSONDecoder().decode(Report.self, from: Data(outcome.output.utf8))
    #expect(report.works == (outcome.status == 0), "\(outcome.error)")
    for check in report.checks { #expect((check.remedy == nil) == (check.state == "ok")) }
    return (outcome.status, report)
  }

  @Test("A machine that generates images passes, and states its precision and the reason")
  func works() throws {
    let (status, report) = try examine(["STREAMFLOW_PRECISION": ""])
    #expect(status == 0 && report.version == "0.1.0")
    for name in ["streamflow", "processor", "openvino", "codecs", "starter", "image"] {
      #expect(report[name]?.state == "ok", "\(name): \(report[name]?.finding ?? "absent")")
    }
    let found = CPUFeatures.current.fastestPrecision
    let precision = report["precision"]?.finding ?? ""
    #expect(precision.contains("auto by default: \(found.precision.rawValue) on the CPU"))
    #expect(precision.contains(found.reason))
    #expect(report["device CPU"]?.finding.contains("auto is \(found.precision.rawValue)") == true)
    #expect(report["engine cache"]?.finding.hasPrefix(runner.cacheFolder) == true)
    for set in CPUFeatures.current.names {
      #expect(report["processor"]?.finding.contains(set) == true)
    }
    let text = try runner.run(["doctor"])
    #expect(text.status == 0 && text.output.hasSuffix("\nimages can be generated\n"))
  }

  @Test("Programs that only some features need may be missing, each with its remedy")
  func optional() throws {
    let (status, report) = try examine([
      "STREAMFLOW_ONNXRUNTIME": runner.folder.path, "STREAMFLOW_FFMPEG": "/nowhere/ffmpeg",
      "STREAMFLOW_NATS": "/nowhere/libnats.so", "STREAMFLOW_MODELS": "/nowhere",
    ])
    #expect(status == 0)
    for (name, words) in [
      ("onnxruntime", "pip install onnxruntime"), ("ffmpeg", "STREAMFLOW_FFMPEG"),
      ("nats", "STREAMFLOW_NATS"),
    ] {
      #expect(report[name]?.state == "missing")
      #expect(report[name]?.remedy?.contains(words) == true, "\(report[name]?.remedy ?? "")")
    }
    #expect(report["own models"]?.state == "warning")
  }

  @Test("Without OpenVINO, images cannot be generated: status 1 and the remedy")
  func runtime() throws {
    let (status, report) = try examine(["STREAMFLOW_OPENVINO": runner.folder.path])
    #expect(status == 1)
    #expect(report["openvino"]?.state == "failed" && report["image"]?.state == "failed")
    #expect(report["openvino"]?.remedy?.contains("pip install 'openvino==") == true)
    // Nothing else depends on the runtime.
    for name in ["processor", "precision", "codecs", "starter"] {
      #expect(report[name]?.state == "ok", "\(name)")
    }
    let text = try runner.run(
      ["doctor"], environment: ["STREAMFLOW_OPENVINO": runner.folder.path])
    #expect(text.status == 1 && text.output.hasSuffix("\nimages cannot be generated\n"))
    #expect(text.output.contains("-> install it with"))
  }

  @Test("Settings that cannot be read fail, with the variable's name")
  func settings() throws {
    let (status, report) = try examine([
      "STREAMFLOW_PRECISION": "f64", "STREAMFLOW_CACHE_LIMIT": "lots",
      "STREAMFLOW_STARTER": "/nowhere",
    ])
    #expect(status == 1)
    #expect(report["precision"]?.finding.contains("STREAMFLOW_PRECISION must be") == true)
    #expect(report["engine cache"]?.remedy?.contains("STREAMFLOW_CACHE_LIMIT") == true)
    #expect(report["starter"]?.finding.contains("STREAMFLOW_STARTER is '/nowhere'") == true)
    #expect(report["starter"]?.remedy?.contains("unset it") == true)
  }

  @Test("A message is divided at its first semicolon into the finding and the remedy")
  func division() {
    let check = DoctorCheck.problem("x", .failed, "it is gone; install it; or not", remedy: "wait")
    #expect(check.finding == "it is gone" && check.remedy == "install it; or not")
    #expect(DoctorCheck.problem("x", .missing, "it is gone", remedy: "wait").remedy == "wait")
    #expect(
      check.lines(nameWidth: 3) == [
        "failed   x   it is gone", "             -> install it; or not",
      ])
  }
}
