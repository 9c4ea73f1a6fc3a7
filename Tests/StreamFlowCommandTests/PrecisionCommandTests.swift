import FlowCore
import FlowEngine
import FlowImage
import FlowTestSupport
import Foundation
import Testing

/// `--precision`: what is chosen, and where that is stated.
@Suite(.tags(.process)) struct PrecisionCommandTests {
  private let runner: CommandRunner

  init() throws { runner = try CommandRunner() }

  private struct Report: Decodable {
    struct Device: Decodable {
      let precision: String
      let precision_reason: String
    }
    let devices: [Device]
  }

  private func generate(
    _ options: [String], to file: String, environment: [String: String] = [:]
  ) throws -> (device: Report.Device, settings: String) {
    let outcome = try runner.run(
      ["generate", "a fox", "--seed", "1", "--json", "--output", file] + options,
      environment: environment)
    #expect(outcome.status == 0, "\(outcome.error)")
    let report = try JSONDecoder().decode(Report.self, from: Data(outcome.output.utf8))
    return (
      try #require(report.devices.first), try runner.run(["inspect", file]).output
    )
  }

  private func bytes(_ file: String) throws -> Data {
    try Data(contentsOf: URL(filePath: "\(runner.folder.path)/\(file)"))
  }

  @Test("auto takes what the CPU computes fastest, says why, and the image names it")
  func automatic() throws {
    let found = CPUFeatures.current.fastestPrecision
    let made = try generate([], to: "auto.png", environment: ["STREAMFLOW_PRECISION": ""])
    #expect(made.device.precision == found.precision.rawValue)
    #expect(made.device.precision_reason == found.reason)
    let field = ", Precision: \(found.precision.rawValue),"
    #expect(made.settings.contains(field) == (found.precision != .float32))
    _ = try generate(["--precision", found.precision.rawValue], to: "named.png")
    #expect(try bytes("auto.png") == bytes("named.png"))
  }

  @Test("f32 is one word away, and images without a precision are made again in it")
  func plain() throws {
    let made = try generate(["--precision", "f32"], to: "f32.png")
    #expect(made.device.precision == "f32" && made.device.precision_reason == "chosen")
    #expect(!made.settings.contains("Precision"))
    let again = try runner.run(
      ["generate", "--from", "f32.png", "--output", "again.png"],
      environment: ["STREAMFLOW_PRECISION": "bf16"])
    #expect(again.status == 0, "\(again.error)")
    #expect(try bytes("f32.png") == bytes("again.png"))
  }

  @Test("fast takes the model's scales, and stays close to float32")
  func fast() throws {
    let rest = CPUFeatures.current.fastestPrecision.precision
    let name = rest == .float32 ? "int8" : "int8+\(rest.rawValue)"
    let made = try generate(["--precision", "fast"], to: "fast.png")
    #expect(made.device.precision == name && made.settings.contains(", Precision: \(name),"))
    _ = try generate(["--precision", "f32"], to: "f32.png")
    let images = try ["fast.png", "f32.png"].map { try PixelImage(png: Array(bytes($0))) }
    let error = zip(images[0].pixels, images[1].pixels).reduce(0.0) { sum, pair in
      let difference = Double(pair.0) - Double(pair.1)
      return sum + difference * difference
    }
    // 40 dB; over many images the mean is above 45.
    #expect(error / Double(images[0].pixels.count) < 6.5)
    let again = try runner.run(["generate", "--from", "fast.png", "--output", "again.png"])
    #expect(again.status == 0, "\(again.error)")
    #expect(try bytes("fast.png") == bytes("again.png"))
  }

  @Test("The environment sets the default, and what is no precision is refused")
  func environment() throws {
    let made = try generate([], to: "bf16.png", environment: ["STREAMFLOW_PRECISION": "bf16"])
    #expect(made.device.precision == "bf16" && made.settings.contains(", Precision: bf16,"))
    let refused = try runner.run(
      ["generate", "a fox"], environment: ["STREAMFLOW_PRECISION": "f64"])
    #expect(refused.status == 64)
    #expect(refused.error.contains("STREAMFLOW_PRECISION must be one of auto, fast, f32, "))
  }
}
