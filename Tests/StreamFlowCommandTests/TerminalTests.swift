import FlowModels
import FlowTestSupport
import Foundation
import Testing

@testable import StreamFlowCommand

/// Progress on a terminal: the text of the line, the estimate, and when anything is drawn.
@Suite struct TerminalTests {
  @Test("A progress line fits every width, and says as much as it has room for")
  func widths() {
    let line = GenerationMeter.line(
      images: (112, 1000), evaluations: (449, 4000), stepsPerImage: 4, secondsLeft: 88.2)
    for columns in 0...120 {
      #expect(line.text(columns: columns, isUnicode: true).count <= columns)
    }
    #expect(
      line.text(columns: 79, isUnicode: false)
        == "###--------------------------- 112/1000 images, 449/4000 steps, 89 s left")
    #expect(line.text(columns: 29, isUnicode: true) == "█░░░░░░░░ 112/1000, 89 s left")
    #expect(line.text(columns: 16, isUnicode: true) == "░░░░░░░ 112/1000")
    #expect(line.text(columns: 5, isUnicode: true) == "11%")
  }

  @Test("One image counts its steps, as the user counts them")
  func steps() {
    // Four steps of Heun's method are seven evaluations.
    let line = GenerationMeter.line(
      images: (0, 1), evaluations: (4, 7), stepsPerImage: 4, secondsLeft: nil)
    #expect(line.text(columns: 40, isUnicode: false) == "#################------------- step 2/4")
  }

  @Test("The estimate leaves the warm-up out, and waits until it has measured something")
  func estimate() {
    var remaining = RemainingTime()
    // The first step takes 8 s with its compilation, the others 0.5 s each.
    remaining.record(done: 0, at: 0)
    #expect(remaining.secondsLeft(total: 100, at: 1) == nil)
    remaining.record(done: 1, at: 8)
    remaining.record(done: 2, at: 8.5)
    #expect(remaining.secondsLeft(total: 100, at: 8.6) == nil)
    remaining.record(done: 3, at: 9)
    #expect(remaining.secondsLeft(total: 100, at: 9) == 48.5)
    // It continues between two steps, and never falls below 0.
    #expect(remaining.secondsLeft(total: 100, at: 9.25) == 48.25)
    #expect(remaining.secondsLeft(total: 4, at: 20) == 0)
    #expect(remaining.secondsLeft(total: 3, at: 9) == nil)
  }

  @Test(
    "Times are read easily",
    arguments: [
      (0.0, "1 s"), (88.2, "89 s"), (119, "119 s"), (120, "2 min"), (7000, "117 min"),
      (7200, "2 h"), (1e300, "1000 h"),
    ])
  func words(seconds: Double, expected: String) {
    #expect(ProgressLine.words(seconds) == expected)
  }

  @Test("A line is redrawn on a terminal that can do it, and nowhere else")
  func redrawing() {
    #expect(Terminal.canRedraw(isTerminal: true, environment: ["TERM": "xterm"]))
    #expect(!Terminal.canRedraw(isTerminal: true, environment: ["TERM": "dumb"]))
    #expect(!Terminal.canRedraw(isTerminal: false, environment: ["TERM": "xterm"]))
  }
}

/// The built command on a pseudo-terminal, as wide as asked for.
@Suite(.tags(.process)) struct PseudoTerminalTests {
  private let runner: CommandRunner

  init() throws { runner = try CommandRunner() }

  /// What a run writes to the terminal that its standard error is.
  private func transcript(
    _ arguments: [String], columns: UInt16, environment: [String: String] = [:]
  ) throws -> String {
    let terminal = try PseudoTerminal(columns: columns)
    let process = runner.process(
      arguments, environment: ["TERM": "xterm"].merging(environment) { $1 })
    process.standardOutput = FileHandle.nullDevice
    let handle = try terminal.handle()
    process.standardError = handle
    process.standardInput = FileHandle.nullDevice
    try process.run()
    try handle.close()
    let text = terminal.readAll()
    process.waitUntilExit()
    #expect(process.terminationStatus == 0)
    return text
  }

  @Test("Steps are drawn in 30 columns without an escape code, and nothing wraps")
  func narrow() throws {
    let text = try transcript(
      ["generate", "fox", "--count", "20", "--steps", "8", "--seed", "1"], columns: 30)
    let lines = text.split(whereSeparator: { $0 == "\r" || $0 == "\n" || $0 == "\r\n" })
    #expect(lines.contains { $0.contains("/20") }, "\(text)")
    #expect(lines.allSatisfy { $0.count < 30 }, "\(lines)")
    #expect(!text.contains("\u{1b}"))
  }

  @Test("Nothing is drawn where it cannot be, or is not wanted")
  func quiet() throws {
    let arguments = ["generate", "fox", "--seed", "1", "--overwrite"]
    #expect(try transcript(arguments, columns: 80, environment: ["TERM": "dumb"]).isEmpty)
    #expect(try transcript(arguments + ["--no-progress"], columns: 80).isEmpty)
    let drawn = try transcript(arguments, columns: 80, environment: ["NO_COLOR": "1"])
    #expect(drawn.contains("preparing engines") && !drawn.contains("\u{1b}"))
  }
}
