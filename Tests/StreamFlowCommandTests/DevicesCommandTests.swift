import FlowTestSupport
import Foundation
import Testing

/// `streamflow devices`, and several devices for one run.
@Suite(.tags(.process)) struct DevicesCommandTests {
  private let runner: CommandRunner

  init() throws { runner = try CommandRunner() }

  private struct Report: Decodable {
    struct Runtime: Decodable {
      struct Device: Decodable {
        let device: String
        let name: String?
        let memory_bytes: Int?
        let precisions: [String]
        let cores: String?
      }
      let name: String
      let found: String?
      let problem: String?
      let devices: [Device]
    }
    let runtimes: [Runtime]
  }

  @Test("Runtimes are listed with their devices, or with what is missing and the remedy")
  func list() throws {
    let json = try runner.run(["devices", "--json"])
    let report = try JSONDecoder().decode(Report.self, from: Data(json.output.utf8))
    #expect(report.runtimes.map(\.name) == ["openvino", "onnxruntime"])
    let cpu = try #require(report.runtimes[0].devices.first)
    #expect(cpu.device == "CPU" && cpu.name?.isEmpty == false && cpu.precisions.contains("f32"))
    #expect(cpu.memory_bytes ?? 0 > 1 << 28)
    for runtime in report.runtimes {
      #expect((runtime.found == nil) == runtime.devices.isEmpty)
      #expect((runtime.problem == nil) == (runtime.found != nil))
    }
    let text = try runner.run(["devices"]).output
    #expect(text.hasPrefix("openvino 2026"))
    #expect(text.contains("\n  CPU"))
  }

  @Test("A missing runtime is listed with the remedy")
  func missing() throws {
    let outcome = try runner.run(
      ["devices"], environment: ["STREAMFLOW_OPENVINO": runner.folder.path])
    #expect(outcome.status == 0 && outcome.output.contains("openvino: not found\n  OpenVINO 2026"))
    #expect(outcome.output.contains("pip install"))
  }

  #if os(Linux)
    private struct Run: Decodable {
      struct Device: Decodable {
        let name: String
        let images: Int
      }
      struct Picture: Decodable { let file: String }
      let pictures: [Picture]
      let devices: [Device]
    }

    @Test("A run on two devices writes its images in order, and says what each made")
    func twoDevices() throws {
      let outcome = try runner.run([
        "generate", "a fox", "--count", "6", "--seed", "1", "--device", "CPU,cpu:0", "--batch-size",
        "1", "--json",
      ])
      #expect(outcome.status == 0, "\(outcome.error)")
      let run = try JSONDecoder().decode(Run.self, from: Data(outcome.output.utf8))
      let names = run.pictures.map { URL(filePath: $0.file).lastPathComponent }
      #expect(names.count == 6 && names == names.sorted())
      #expect(run.devices.map(\.name) == ["CPU", "cpu:0"])
      #expect(run.devices.reduce(0) { $0 + $1.images } == 6)
    }

    @Test(
      "What --place and --device cannot mean is refused",
      arguments: [
        (["--place", "text=CPU,text=CPU"], "places text twice"),
        (["--place", "unet=CPU"], "'unet=CPU' places nothing"),
        (["--place", "network=CPU", "--device", "CPU"], "leave one out"),
        (["--device", "cpu:5000"], "names no cores"),
      ])
    func refused(options: [String], message: String) throws {
      let outcome = try runner.run(["generate", "a fox"] + options)
      #expect(outcome.status == 64 && outcome.error.contains(message), "\(outcome.error)")
    }
  #endif
}
