import FlowTestSupport
import Foundation
import Testing

/// `streamflow benchmark --suite editing`, with two subjects.
@Suite(.tags(.process, .ffmpeg)) struct EditingBenchmarkTests {
  private let runner: CommandRunner

  init() throws {
    runner = try CommandRunner()
    // Two subjects: a red square and a white one.
    let side = 64
    var pixels = [UInt8](repeating: 0, count: 4 * 2 * side * side)
    for y in 16..<48 {
      for x in 16..<48 {
        for (thing, color) in [[230, 30, 30, 255], [255, 255, 255, 255]].enumerated() {
          for channel in 0..<4 {
            pixels[4 * (y * 2 * side + thing * side + x) + channel] = UInt8(color[channel])
          }
        }
      }
    }
    _ = try runner.folder.write(pixels, as: "refs/things.rgba")
    _ = try runner.shell(
      "ffmpeg -hide_banner -loglevel error -f rawvideo -pix_fmt rgba -s 128x64 -i refs/things.rgba "
        + "-frames:v 1 refs/things.png")
    _ = try runner.folder.write(
      Array(
        """
        {"sheet": "things.png", "side": 64, "columns": 2, "things": ["ball", "ghost"],
         "backgrounds": [[60, 120, 220], [220, 60, 50]],
         "prompts": [{"prompt": "ball on a blue background", "thing": 0, "background": 0},
                     {"prompt": "ghost on a red background", "thing": 1, "background": 1}]}
        """.utf8), as: "refs/references.json")
  }

  private func arguments(_ steps: [Int]) -> [String] {
    ["benchmark", "--suite", "editing", "--references", "refs", "--count", "4"]
      + steps.flatMap { ["--edit-steps", "\($0)"] }
  }

  /// The method and the number of steps of each row of a table.
  private func rows(_ table: String) -> [String] {
    table.split(separator: "\n").filter { $0.hasPrefix("| ") }.dropFirst().map { line in
      let cells = line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
      return "\(cells[0]), \(cells[1]) \(cells[1] == "1" ? "step" : "steps")"
    }
  }

  /// The same of the rows on standard error.
  private func lines(_ error: String) -> [String] {
    error.split(separator: "\n").compactMap { line in
      line.firstRange(of: ": background ").map { String(line[..<$0.lowerBound]) }
    }
  }

  @Test("Right edits and what stays are counted for every method, and each row is printed at once")
  func editing() throws {
    let outcome = try runner.run(arguments([1]))
    #expect(outcome.status == 0, "\(outcome.error)")
    #expect(outcome.output.contains("4 edits; encoding and decoding alone give "))
    let rows = rows(outcome.output)
    for method in ["flowedit", "flowalign", "rf-inversion", "fireflow", "rf-solver", "soft"] {
      #expect(rows.contains("\(method), 1 step"), "\(rows)")
    }
    #expect(lines(outcome.error) == rows)
    #expect(!outcome.output.contains("interrupted"))
  }

  @Test("Ctrl-C ends with a table, and files, of the rows that were measured")
  func interrupted() throws {
    let process = runner.process(arguments([2, 100, 200, 400]) + ["--output", "study"])
    let (output, error) = (Pipe(), Pipe())
    (process.standardOutput, process.standardError) = (output, error)
    try process.run()
    var printed = ""
    while !printed.contains(" images/s") {
      let data = error.fileHandleForReading.availableData
      guard !data.isEmpty else { break }
      printed += String(decoding: data, as: UTF8.self)
    }
    process.interrupt()
    printed += String(decoding: try error.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
    let table = String(
      decoding: try output.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
    process.waitUntilExit()
    #expect(process.terminationStatus == 130, "\(printed)")
    let rows = rows(table)
    #expect(rows.first == "image-to-image, 2 steps" && rows.count < 30, "\(rows)")
    #expect(lines(printed) == rows)
    #expect(table.contains("The benchmark was interrupted; results are missing."))
    let folder = "\(runner.folder.path)/study"
    let markdown = try String(contentsOfFile: "\(folder)/editing.md", encoding: .utf8)
    #expect(self.rows(markdown) == rows)
    let json = try String(contentsOfFile: "\(folder)/editing.json", encoding: .utf8)
    #expect(json.contains("\"is_interrupted\" : true"))
  }
}
