import FlowCore
import FlowImage
import FlowTestSupport
import Foundation
import StreamFlow
import Testing

@testable import StreamFlowCommand

#if canImport(FoundationXML)
  import FoundationXML
#endif

/// `streamflow benchmark`, with runs as short as can be: what is measured is not looked at.
@Suite(.tags(.process)) struct BenchmarkCommandTests {
  private let runner: CommandRunner

  init() throws { runner = try CommandRunner() }

  private struct Report: Decodable {
    struct Part: Decodable {
      struct Result: Decodable {
        struct Case: Decodable {
          let number: String
          let label: String
          let stages: Int
          let precision: String
        }
        struct Sample: Decodable {
          let pictures: Int
          let seconds: Double
          let cpu_seconds: Double
          let peak_bytes: Int
          let row_seconds: Double?
        }
        let `case`: Case
        let samples: [Sample]
        let failure: String?
      }
      let width: Int
      let results: [Result]
      let quality: [Row]
    }
    struct Row: Decodable {
      let label: String
      let pictures: Int
      let largest_difference: Int
      let mean_psnr: Double?
      let mean_ssim: Double
      let top_one: Double?
    }
    struct Solvers: Decodable {
      struct Point: Decodable {
        let solver: String
        let evaluations: Int
        let error: Double
      }
      let name: String
      let points: [Point]
    }
    let suite: String
    let parts: [Part]
    let quality: [Row]
    let solvers: [Solvers]
  }

  private func report(_ json: String) throws -> Report {
    try JSONDecoder().decode(Report.self, from: Data(json.utf8))
  }

  /// A chart is well-formed XML without anything outside it.
  private func checkChart(_ path: String) throws -> String {
    let data = try Data(contentsOf: URL(filePath: path))
    let parser = XMLParser(data: data)
    #expect(parser.parse(), "\(path): \(String(describing: parser.parserError))")
    let text = String(decoding: data, as: UTF8.self)
    #expect(text.contains("prefers-color-scheme: dark") && !text.contains("href"))
    #expect(!text.contains("nan") && !text.contains("inf\""))
    return text
  }

  @Test("The quick suite interleaves its cases, and writes table, chart and figures")
  func quick() throws {
    let outcome = try runner.run([
      "benchmark", "--rounds", "2", "--seconds", "0.01", "--steps", "1", "--batch-size", "2",
      "--output",
      "study",
    ])
    #expect(outcome.status == 0, "\(outcome.error)")
    #expect(outcome.output.hasPrefix("# Quick: starter\n"))
    #expect(outcome.output.contains("| 3 | 2 in flight, int8 |"))
    let folder = "\(runner.folder.path)/study"
    let json = try String(contentsOfFile: "\(folder)/quick.json", encoding: .utf8)
    let report = try report(json)
    let results = try #require(report.parts.first).results
    #expect(
      results.map(\.case.number) == ["1", "2", "3"] && results.map(\.case.stages) == [1, 2, 2])
    for result in results {
      #expect(result.failure == nil && result.samples.count == 2)
      #expect(
        result.samples.allSatisfy {
          $0.seconds > 0 && $0.cpu_seconds > 0 && $0.peak_bytes > 50 << 20
            && $0.pictures.isMultiple(of: result.case.stages)
        })
    }
    let markdown = try String(contentsOfFile: "\(folder)/quick.md", encoding: .utf8)
    #expect(markdown.contains("![quick](quick.svg)") && markdown.contains("speedup"))
    #expect(try checkChart("\(folder)/quick.svg").contains("2 in flight, int8"))
  }

  @Test("Ablation has every part, and says of peers that do not answer why")
  func ablation() throws {
    _ = try runner.folder.write(
      Array(
        """
        #!/bin/sh
        case "$2" in
        diffusers) echo '{"ready": 1}'; while read -r line; do
          echo noise; echo '{"pictures": 3, "seconds": 0.5, "cpuSeconds": 1, "peakBytes": 1000}'; done;;
        *) echo '{"error": "no such library"}'; exit 1;;
        esac
        """.utf8), as: "peer.sh")
    let outcome = try runner.run([
      "benchmark", "--suite", "ablation", "--rounds", "1", "--seconds", "0.01", "--steps", "2",
      "--batch-size", "2", "--json", "--peers", "sh peer.sh",
    ])
    #expect(outcome.status == 0, "\(outcome.error)")
    let results = try #require(report(outcome.output).parts.first).results
    let numbers = results.map(\.case.number)
    // The starter has no full autoencoder: no second baseline, and no peer that needs one.
    #expect(
      numbers == [
        "1", "3", "4", "5a", "5b", "6a", "6c", "7a", "7b", "8a", "8b", "9", "10", "P2", "P3", "P7",
      ], "\(numbers)")
    for result in results where !result.case.number.hasPrefix("P") {
      #expect(result.failure == nil, "\(result.case.label)")
    }
    let peers = results.filter { $0.case.number.hasPrefix("P") }
    #expect(peers[0].samples.first?.pictures == 3)
    #expect(peers.dropFirst().map(\.failure) == ["no such library", "no such library"])
  }

  @Test(
    "Efficiency has its cases in bfloat16 too if the device prefers it, with its peers; batching all sizes"
  )
  func efficiency() {
    func cases(_ prefersBFloat16: Bool) -> [BenchmarkCase] {
      BenchmarkCases(
        width: 64, height: 64, steps: 4, stages: 4, largestBatch: 4, hasFull: true, hasTiny: true,
        hasInt8: true, prefersBFloat16: prefersBFloat16, runsSingly: false,
        peers: BenchmarkPeer.all(["python", "peer.py"], prefersBFloat16: prefersBFloat16)
      )(.efficiency)
    }
    let batching = BenchmarkCases(
      width: 64, height: 64, steps: 4, stages: 4, largestBatch: 32, hasFull: true, hasTiny: true,
      hasInt8: true, prefersBFloat16: true, runsSingly: false, peers: [])(.batching)
    #expect(batching.count == 24)
    #expect(batching.prefix(6).map(\.stages) == [1, 2, 4, 8, 16, 32])
    let plain = cases(false)
    #expect(plain.filter { $0.peer == nil }.map(\.precision) == ["f32", "f32", "f32", "int8"])
    #expect(plain.allSatisfy { $0.peer?.last?.hasSuffix("-bf16") != true })
    let both = cases(true)
    #expect(
      both.filter { $0.peer == nil }.map(\.precision)
        == ["f32", "f32", "f32", "bf16", "bf16", "bf16", "int8", "int8+bf16"])
    #expect(Set(both.map(\.number)).count == both.count)
    #expect(
      both.compactMap(\.peer?.last).filter { $0.hasSuffix("-bf16") }
        == ["diffusers-vanilla-bf16", "diffusers-bf16", "genai-bf16"])
  }

  @Test("Batching times a row in batches of every size up to the largest, in each precision")
  func batching() throws {
    let outcome = try runner.run([
      "benchmark", "--suite", "batching", "--size", "64", "--rounds", "1", "--seconds", "0.01",
      "--steps", "1", "--batch-size", "3", "--json",
    ])
    #expect(outcome.status == 0, "\(outcome.error)")
    let results = try #require(report(outcome.output).parts.first).results
    #expect(results.count == 12 && results.allSatisfy { $0.failure == nil })
    #expect(results.prefix(3).map(\.case.stages) == [1, 2, 3])
    for result in results {
      let sample = try #require(result.samples.first)
      #expect(sample.pictures == result.case.stages && sample.row_seconds ?? 0 > 0)
    }
  }

  @Test("What was measured until Ctrl-C is reported, and what was not is not called a failure")
  func interrupted() async throws {
    let answer = #"{"pictures": 3, "seconds": 0.5, "cpuSeconds": 1, "peakBytes": 1000}"#
    let peer = try runner.folder.write(
      Array("echo '{\"ready\": 1}'; while read -r line; do echo '\(answer)'; done".utf8),
      as: "endless.sh")
    func results(endingAt label: String) async throws -> [BenchmarkResult] {
      let task = Task {
        try BenchmarkRunner(
          rounds: 5, secondsPerRun: 0, keepsProcesses: true, command: { _ in ["sh", peer] },
          progress: { if $0 == label { unsafe withUnsafeCurrentTask { unsafe $0?.cancel() } } }
        )([
          BenchmarkCase(number: "1", label: "one", width: 8, height: 8),
          BenchmarkCase(number: "2", label: "two", width: 8, height: 8),
        ])
      }
      return try await task.value
    }
    let results = try await results(endingAt: "round 1 of 5: two")
    var report = BenchmarkReport(suite: "quick", model: "m", machine: MachineDescription())
    report.parts = [.init(width: 8, height: 8, results: results)]
    report.isInterrupted = true
    let text = report.markdown(hasChart: false)
    #expect(results.map(\.samples.count) == [1, 0] && !text.contains("failed"), "\(text)")
    #expect(text.contains("The benchmark was interrupted; results are missing."))
    #expect(text.contains("not measured"))
  }

  @Test("Resolution draws a line for each case over the sizes")
  func resolution() throws {
    let outcome = try runner.run([
      "benchmark", "--suite", "resolution", "--size", "32", "--size", "64", "--rounds", "1",
      "--seconds", "0.01", "--steps", "1", "--batch-size", "2", "--output", "study",
    ])
    #expect(outcome.status == 0, "\(outcome.error)")
    #expect(outcome.output.contains("## 32 x 32") && outcome.output.contains("## 64 x 64"))
    let chart = try checkChart("\(runner.folder.path)/study/resolution.svg")
    #expect(chart.contains("polyline") && chart.contains(">64 px<"))
  }

  @Test("Precision times a row in each precision, and compares its images and batches")
  func precision() throws {
    let outcome = try runner.run([
      "benchmark", "--suite", "precision", "--size", "64", "--rounds", "1", "--seconds", "0.01",
      "--steps", "1", "--count", "6", "--json",
    ])
    #expect(outcome.status == 0, "\(outcome.error)")
    let part = try #require(try report(outcome.output).parts.first)
    let names = ["f32", "bf16", "int8", "int8+bf16"]
    #expect(part.results.map(\.case.precision) == names)
    #expect(part.results.allSatisfy { $0.samples.allSatisfy { $0.row_seconds ?? 0 > 0 } })
    #expect(part.quality.count == 12)
    #expect(part.quality[0].largest_difference == 0)
    for (index, name) in names.enumerated() {
      #expect(part.quality[index].label == "one at a time, \(name)")
      // Half of bfloat16's last place is 1/512 of a value.
      #expect(part.quality[index].mean_psnr ?? 100 > 35, "\(name)")
      let mixed = part.quality[4 + 2 * index]
      #expect(mixed.label == "mixed requests, one at a time, \(name)" && mixed.mean_psnr == nil)
    }
    // float32 gives what one at a time gives, to 1/255.
    #expect(part.quality[5].largest_difference <= 1)
  }

  @Test("Profile names the kernels that take the time, with their rates")
  func profile() throws {
    let outcome = try runner.run([
      "benchmark", "--suite", "profile", "--size", "64", "--batch-size", "2", "--output", "study",
    ])
    #expect(outcome.status == 0, "\(outcome.error)")
    #expect(outcome.output.contains("## network, f32, 64 x 64, 2 rows"))
    #expect(outcome.output.contains("## decoder, int8, 64 x 64, 2 rows"))
    struct Study: Decodable {
      struct Part: Decodable {
        struct Profile: Decodable {
          struct Group: Decodable {
            let operation: String
            let shapes: String
            let seconds: Double
            let operation_count: Int
          }
          let part: String
          let seconds: Double
          let groups: [Group]
        }
        let precision: String
        let profile: Profile
      }
      let profiles: [Part]
    }
    let json = try String(
      contentsOfFile: "\(runner.folder.path)/study/profile.json", encoding: .utf8)
    let network = try #require(
      try JSONDecoder().decode(Study.self, from: Data(json.utf8)).profiles.first
    ).profile
    #expect(network.part == "network" && network.seconds > 0)
    #expect(network.groups.map(\.seconds) == network.groups.map(\.seconds).sorted(by: >))
    let convolution = try #require(network.groups.first { $0.operation == "Convolution" })
    #expect(convolution.shapes.contains("channels") && convolution.operation_count > 0)
  }

  @Test("Quality compares images with the plain run, and with references where there are some")
  func quality() throws {
    // Two things on a sheet: one all red, one transparent.
    var pixels = [UInt8](repeating: 0, count: 3 * 128 * 64)
    for y in 0..<64 { for x in 0..<64 { pixels[3 * (y * 128 + x)] = 255 } }
    _ = try runner.folder.write(
      PixelImage(width: 128, height: 64, pixels: pixels).png(), as: "refs/things.png")
    _ = try runner.folder.write(
      Array(
        """
        {"sheet": "things.png", "side": 64, "columns": 2, "things": ["red", "black"],
         "backgrounds": [[255, 255, 255]],
         "prompts": [{"prompt": "dog on a red background", "thing": 0, "background": 0},
                     {"prompt": "dog on a black background", "thing": 1, "background": 0}]}
        """.utf8), as: "refs/references.json")
    let outcome = try runner.run([
      "benchmark", "--suite", "quality", "--references", "refs", "--steps", "4", "--batch-size",
      "4",
      "--json",
    ])
    #expect(outcome.status == 0, "\(outcome.error)")
    let rows = try report(outcome.output).quality
    #expect(rows[0].label == "one at a time, f32, 4 steps" && rows[0].largest_difference == 0)
    // Exact: a stream gives the images that one at a time gives.
    #expect(rows[1].largest_difference <= 1 && rows[1].mean_ssim > 0.9999)
    #expect(rows[2].label.contains("int8") && (rows[2].mean_psnr ?? 0) > 30)
    #expect(rows.allSatisfy { $0.pictures == 2 && $0.top_one != nil })
    let other = try #require(rows.first { $0.label == "1 step" })
    #expect(other.mean_ssim < rows[1].mean_ssim && other.largest_difference > 20)
  }

  @Test("The live suite measures every setting on clips of which more and more changes")
  func live() throws {
    let outcome = try runner.run([
      "benchmark", "--suite", "live", "--steps", "1", "--rounds", "1", "--frames", "3", "--json",
    ])
    #expect(outcome.status == 0, "\(outcome.error)")
    struct Study: Decodable {
      struct Part: Decodable {
        struct Row: Decodable {
          let label: String
          let changed: Double
          let rates: [Double]
          let psnr: Double?
          let flicker: Double
          let skipped: Int
        }
        let rows: [Row]
      }
      let live: [Part]
    }
    let rows = try #require(
      try JSONDecoder().decode(Study.self, from: Data(outcome.output.utf8)).live.first
    ).rows
    #expect(rows.allSatisfy { $0.rates.count == 1 && $0.rates[0] > 0 })
    #expect(rows.filter { $0.label == "whole frames" }.map(\.changed) == [0, 0.1, 0.25, 0.5, 1])
    #expect(rows.filter { $0.label == "whole frames" }.allSatisfy { $0.psnr == nil })
    let held = try #require(rows.first { $0.label == "still cells held" })
    #expect(held.skipped == 2 && held.flicker == 0)
    #expect(rows[0].flicker > 0)
  }

  @Test("Solvers has a table and a chart for each known flow and for the model")
  func solvers() throws {
    let outcome = try runner.run([
      "benchmark", "--suite", "solvers", "--count", "1", "--output", "study",
    ])
    #expect(outcome.status == 0, "\(outcome.error)")
    let folder = "\(runner.folder.path)/study"
    let json = try String(contentsOfFile: "\(folder)/solvers.json", encoding: .utf8)
    let parts = try report(json).solvers
    #expect(parts.count == 5 && parts.last?.name == "images of starter")
    for (index, part) in parts.enumerated() {
      #expect(outcome.output.contains("## \(part.name)\n"))
      let chart = try checkChart("\(folder)/solvers-\(index + 1).svg")
      #expect(chart.contains(">fireflow<") != part.name.hasSuffix("with fresh noise"))
    }
    // More evaluations are closer to the reference.
    let euler = try #require(parts.last).points.filter { $0.solver == "euler" }
    #expect(euler.map(\.evaluations) == [1, 2, 4, 8, 16, 32])
    #expect(euler[5].error < euler[0].error / 4)
  }

  @Test("What cannot be measured is refused with the remedy")
  func refusals() throws {
    for (arguments, words) in [
      (["--rounds", "0"], "--rounds must be 1 to 1000, got 0"),
      (["--seconds", "0"], "--seconds must be above 0"),
      (["--peers", "x"], "--suite ablation or efficiency"),
      (["--references", "x"], "--suite quality"),
      (["--suite", "quality", "--references", "nowhere"], "Scripts/benchmarks/references.py"),
      (["--suite", "quality", "--size", "64"], "own size"),
      (["--suite", "editing"], "Scripts/benchmarks/references.py"),
      (["--suite", "editing", "--references", "x", "--edit-steps", "0"], "--edit-steps must be"),
      (["--suite", "live", "--frames", "1"], "--frames must be 2 to 10000, got 1"),
      (["--size", "65"], "64 is the nearest"),
      (["--schedule", "perflow:windows=8"], "8 to 1000 steps"),
      (["--model", "nowhere"], "nowhere"),
    ] {
      let outcome = try runner.run(["benchmark"] + arguments)
      #expect(
        outcome.status != 0 && outcome.error.contains(words), "\(arguments): \(outcome.error)")
    }
  }
}
