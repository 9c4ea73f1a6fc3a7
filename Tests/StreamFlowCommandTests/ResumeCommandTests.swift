import FlowImage
import FlowTestSupport
import Foundation
import Testing

/// `--resume`: an interrupted run is continued, and ends as one that was not interrupted.
@Suite(.tags(.process)) struct ResumeCommandTests {
  private let runner: CommandRunner
  private var folder: TemporaryFolder { runner.folder }

  init() throws { runner = try CommandRunner() }

  private func contents(_ name: String) throws -> [String: Data] {
    Dictionary(
      uniqueKeysWithValues: try runner.files(name).map { file in
        (file, try Data(contentsOf: URL(filePath: "\(folder.path)/\(name)/\(file)")))
      })
  }

  private struct Report: Decodable {
    struct Picture: Decodable { let file: String, seed: UInt64 }
    let pictures: [Picture]
    let skipped: Int
  }

  private func report(_ outcome: CommandRunner.Outcome) throws -> Report {
    #expect(outcome.status == 0, "\(outcome.error)")
    return try JSONDecoder().decode(Report.self, from: Data(outcome.output.utf8))
  }

  @Test(
    "Missing and damaged images are made, the others stay, byte for byte",
    arguments: ["png", "jpeg"])
  func damaged(format: String) throws {
    let command = [
      "generate", "a fox", "a rocket", "--count", "6", "--seed", "5", "--format", format, "--json",
    ]
    #expect(try report(runner.run(command + ["--output", "whole"])).pictures.count == 12)
    let whole = try contents("whole")
    let names = whole.keys.sorted()
    try FileManager.default.copyItem(
      atPath: "\(folder.path)/whole", toPath: "\(folder.path)/part")
    // Of twelve: three gone, one empty, one cut, one of other bytes, a leftover of a killed run.
    for name in [names[2], names[7], names[11]] {
      try FileManager.default.removeItem(atPath: "\(folder.path)/part/\(name)")
    }
    _ = try folder.write([], as: "part/\(names[0])")
    let cut = Array(try #require(whole[names[4]]))
    _ = try folder.write(Array(cut[..<(cut.count / 2)]), as: "part/\(names[4])")
    _ = try folder.write(Array("no image".utf8), as: "part/\(names[9])")
    let leftover = "part/\(names[2]).writing-17"
    _ = try folder.write([1], as: leftover)
    try FileManager.default.setAttributes(
      [.modificationDate: Date(timeIntervalSinceNow: -3600)],
      ofItemAtPath: "\(folder.path)/\(leftover)")
    let resumed = try report(runner.run(command + ["--output", "part", "--resume"]))
    #expect(resumed.skipped == 6)
    #expect(
      Set(resumed.pictures.map(\.file)) == Set([0, 2, 4, 7, 9, 11].map { "part/\(names[$0])" }))
    #expect(try contents("part") == whole)
    // Once more, and there is nothing to do.
    let again = try runner.run(command.dropLast() + ["--output", "part", "--resume"])
    #expect(again.output == "all 12 images were there already: part\n")
    #expect(try contents("part") == whole)
  }

  @Test("After Ctrl-C the same command makes exactly the missing images, with its random seed")
  func interrupted() throws {
    let command = ["generate", "fox", "--count", "40", "--steps", "6"]
    let process = runner.process(command)
    let output = Pipe()
    process.standardOutput = output
    process.standardError = FileHandle.nullDevice
    try process.run()
    // The first image is reported as soon as it exists.
    #expect(!output.fileHandleForReading.availableData.isEmpty)
    process.interrupt()
    _ = try output.fileHandleForReading.readToEnd()
    process.waitUntilExit()
    let before = try contents("out")
    #expect((1..<40).contains(before.count))
    let resumed = try report(runner.run(command + ["--resume", "--json"]))
    #expect(resumed.skipped == before.count && resumed.pictures.count == 40 - before.count)
    let after = try contents("out")
    for (name, data) in before { #expect(after[name] == data) }
    // The seed that the interrupted run chose, which an uninterrupted one is given.
    let seed = try #require(resumed.pictures.map(\.seed).min()) - UInt64(before.count)
    #expect(
      try runner.run(command + ["--seed", "\(seed)", "--output", "whole", "--quiet"]).status == 0)
    #expect(try contents("whole") == after)
  }

  @Test("Images of other settings are neither counted nor touched, and numbering continues")
  func others() throws {
    func run(_ arguments: String...) throws -> Report {
      try report(runner.run(["generate", "fox", "--json", "--seed"] + arguments))
    }
    _ = try run("1", "--count", "3")
    let first = try contents("out")
    // Other seeds, other steps: another run, numbered behind the first.
    _ = try run("100", "--count", "2")
    try FileManager.default.removeItem(atPath: "\(folder.path)/out/0005-fox.png")
    let resumed = try run("100", "--count", "4", "--resume")
    #expect(resumed.skipped == 1)
    #expect(
      resumed.pictures.map(\.file).sorted()
        == ["out/0005-fox.png", "out/0006-fox.png", "out/0007-fox.png"])
    #expect(try run("1", "--steps", "2", "--resume").pictures.map(\.file) == ["out/0008-fox.png"])
    let after = try contents("out")
    for (name, data) in first { #expect(after[name] == data) }
  }

  @Test("One file, a contact sheet and transformed images are resumed too")
  func siblings() throws {
    let single = ["generate", "fox", "--seed", "1", "--output", "fox.png", "--resume", "--json"]
    #expect(try report(runner.run(single)).skipped == 0)
    #expect(try report(runner.run(single)).skipped == 1)
    let other = try runner.run(single.dropLast() + ["--steps", "2"])
    #expect(other.status == 73 && other.error.contains("'fox.png' exists already"))
    _ = try folder.write([7], as: "fox.png")
    #expect(try report(runner.run(single)).skipped == 0)

    let command = [
      "transform", "fox.png", "a rocket", "--count", "3", "--output", "made", "--contact-sheet",
      "sheet.png", "--json",
    ]
    #expect(try report(runner.run(command)).pictures.count == 3)
    let (made, sheet) = (
      try contents("made"), try Data(contentsOf: URL(filePath: "\(folder.path)/sheet.png"))
    )
    try FileManager.default.removeItem(atPath: "\(folder.path)/made/0002-fox.png")
    let resumed = try report(runner.run(command + ["--resume"]))
    #expect(resumed.skipped == 2 && resumed.pictures.map(\.file) == ["made/0002-fox.png"])
    #expect(try contents("made") == made)
    #expect(try Data(contentsOf: URL(filePath: "\(folder.path)/sheet.png")) == sheet)
  }
}
