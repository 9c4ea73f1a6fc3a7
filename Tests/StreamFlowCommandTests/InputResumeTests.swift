import FlowCore
import FlowImage
import FlowTestSupport
import Foundation
import StreamFlow
import Testing

@testable import StreamFlowCommand

/// Interrupted runs with input images: an image belongs to the run if its source, mask, references
/// and control images do.
@Suite(.tags(.process)) struct InputResumeTests {
  private let runner: CommandRunner
  private var folder: TemporaryFolder { runner.folder }
  private let short = [
    "--model", TinyPipeline.model("flux2"), "--size", "32x32", "--seed", "3", "--steps", "1",
  ]

  init() throws {
    runner = try CommandRunner()
    try write(0, as: "a.png")
    try write(100, as: "b.png")
  }

  /// Writes an image of 64 pixels a side.
  private func write(_ shade: UInt8, as name: String, text: String = "") throws {
    let image = PixelImage(
      width: 64, height: 64, pixels: (0..<64 * 64 * 3).map { UInt8($0 % 97) &+ shade })
    _ = try folder.write(try image.png(texts: [("Comment", text)]), as: name)
  }

  private func contents(_ name: String) throws -> [String: Data] {
    Dictionary(
      uniqueKeysWithValues: try runner.files(name).map { file in
        (file, try Data(contentsOf: URL(filePath: "\(folder.path)/\(name)/\(file)")))
      })
  }

  /// The files that a run makes, and the number of those that were there already.
  private func run(_ arguments: [String]) throws -> (made: [String], skipped: Int) {
    struct Report: Decodable {
      struct Picture: Decodable { let file: String }
      let pictures: [Picture]
      let skipped: Int
    }
    let outcome = try runner.run(arguments + ["--json"])
    #expect(outcome.status == 0, "\(outcome.error)")
    let report = try JSONDecoder().decode(Report.self, from: Data(outcome.output.utf8))
    return (report.pictures.map(\.file).sorted(), report.skipped)
  }

  @Test("Images of the same references stay, and those of others or of another order are made")
  func generated() throws {
    let command = ["generate", "a fox", "--count", "2"] + short
    let both = ["--reference", "a.png", "--reference", "b.png"]
    #expect(try run(command + both).made.count == 2)
    let whole = try contents("out")
    try FileManager.default.removeItem(atPath: "\(folder.path)/out/0002-a-fox.png")
    let resumed = try run(command + both + ["--resume"])
    #expect(resumed.made == ["out/0002-a-fox.png"] && resumed.skipped == 1)
    #expect(try contents("out") == whole)
    let swapped = ["--reference", "b.png", "--reference", "a.png"]
    let other = try run(command + swapped + ["--resume"])
    #expect(other.made == ["out/0003-a-fox.png", "out/0004-a-fox.png"] && other.skipped == 0)
    #expect(try run(command + swapped + ["--resume"]).skipped == 2)
    for (name, data) in whole { #expect(try contents("out")[name] == data) }
    // The same pixels in another file are the same reference.
    try write(0, as: "copy.png", text: "copied")
    let copied = ["--reference", "copy.png", "--reference", "b.png"]
    #expect(try run(command + copied + ["--resume"]).skipped == 2)

    let single = ["generate", "a fox"] + short + ["--output", "fox.png", "--resume"]
    #expect(try run(single + ["--reference", "a.png"]).skipped == 0)
    #expect(try run(single + ["--reference", "a.png"]).skipped == 1)
    let refused = try runner.run(single + ["--reference", "b.png"])
    #expect(refused.status == 73 && refused.error.contains("'fox.png' exists already"))
  }

  @Test("An instruction on a changed input is not taken for that on the earlier one")
  func edited() throws {
    let command = ["edit", "a.png", "a fox", "--count", "2", "--reference", "b.png"] + short
    #expect(try run(command).made.count == 2)
    #expect(try run(command + ["--resume"]).skipped == 2)
    try write(50, as: "a.png")
    #expect(try run(command + ["--resume"]).made == ["out/0003-a.png", "out/0004-a.png"])
    try write(50, as: "b.png")
    #expect(try run(command + ["--resume"]).made == ["out/0005-a.png", "out/0006-a.png"])
    #expect(try run(command + ["--resume"]).skipped == 2)
  }

  @Test("An image of another source or mask than the run's is not the run's")
  func transformed() throws {
    let starter = ["edit", "a.png", "sushi", "--steps", "1", "--seed", "3", "--strength", "0.9"]
    #expect(try run(starter).made == ["out/0001-a.png"])
    #expect(try run(starter + ["--resume"]).skipped == 1)
    // The same pixels in another file of this name are the same input.
    try write(0, as: "a.png", text: "copied")
    #expect(try run(starter + ["--resume"]).skipped == 1)
    try write(50, as: "a.png")
    #expect(try run(starter + ["--resume"]).made == ["out/0002-a.png"])

    // White to the left of a column and above a row.
    func mask(_ edge: Int, rows: Int = 64) throws {
      let image = PixelImage(
        width: 64, height: 64,
        pixels: (0..<64 * 64 * 3).map { $0 / 3 % 64 < edge && $0 / 192 < rows ? 255 : 0 })
      _ = try folder.write(try image.png(), as: "mask.png")
    }
    try mask(32)
    let masked = starter + ["--mask", "mask.png", "--output", "masked", "--resume"]
    #expect(try run(masked).made == ["masked/0001-a.png"])
    #expect(try run(masked).skipped == 1)
    #expect(try run(masked + ["--invert-mask"]).made == ["masked/0002-a.png"])
    #expect(try run(masked + ["--mask-padding", "4"]).made == ["masked/0003-a.png"])
    try mask(40)
    #expect(try run(masked).made == ["masked/0004-a.png"])
    #expect(try run(masked).skipped == 1)
    // What lies outside the region that is repainted is part of the image, too.
    try mask(16, rows: 16)
    let padded = masked + ["--mask-padding", "2"]
    #expect(try run(padded).made == ["masked/0005-a.png"])
    var edge = try PixelImage(imageAt: "\(folder.path)/a.png").pixels
    edge[63 * 3] &+= 9
    _ = try folder.write(
      try PixelImage(width: 64, height: 64, pixels: edge).png(), as: "a.png")
    #expect(try run(padded).made == ["masked/0006-a.png"])
    #expect(try run(padded).skipped == 1)
    // An input that cannot be read belongs to no image.
    _ = try folder.write(Array("not an image".utf8), as: "a.png")
    let outcome = try runner.run(masked)
    #expect(outcome.status == 65, "\(outcome.error)")
  }

  @Test("An image of another control image than the run's is not the run's")
  func controlled() throws {
    let models = URL(filePath: #filePath).deletingLastPathComponent()
      .appending(path: "../StreamFlowTests/Fixtures/models").standardizedFileURL.path
    let command = [
      "generate", "a fox", "--model", "\(models)/sd", "--adapter", "\(models)/controlnet",
      "--steps", "1", "--seed", "3", "--size", "32x32", "--resume", "--control",
    ]
    #expect(try run(command + ["a.png"]).made == ["out/0001-a-fox.png"])
    #expect(try run(command + ["a.png"]).skipped == 1)
    #expect(try run(command + ["b.png"]).made == ["out/0002-a-fox.png"])
    let again = [
      "generate", "--from", "out/0001-a-fox.png", "--model", "\(models)/sd", "--adapter",
      "\(models)/controlnet", "--output", "again.png", "--control",
    ]
    let other = try runner.run(again + ["b.png"])
    #expect(
      other.status == 0 && other.error.contains("made with other control images"), "\(other.error)")
  }

  @Test("Settings of an image tell other references from its own")
  func imported() throws {
    let options = ["--model", TinyPipeline.model("flux2"), "--output"]
    _ = try run(["generate", "a fox", "--reference", "a.png", "--output", "fox.png"] + short)
    let again = ["generate", "--from", "fox.png"] + options
    let other = try runner.run(again + ["other.png", "--reference", "b.png"])
    #expect(
      other.status == 0 && other.error.contains("made with other reference images than those"),
      "\(other.error)")
    let same = try runner.run(again + ["same.png", "--reference", "a.png"])
    #expect(same.status == 0 && !same.error.contains("reference"), "\(same.error)")
    let gone = try runner.run(again + ["gone.png", "--reference", "gone.png"])
    #expect(gone.status == 66 && gone.error.contains("no file 'gone.png'"), "\(gone.error)")
  }

  @Test("A manifest names the references, and a process run again with others is refused")
  func manifest() throws {
    let command =
      ["generate", "a fox", "--count", "4", "--rank", "1", "--world", "2", "--output", "made"]
      + short
    let made = try run(command + ["--reference", "a.png", "--reference", "b.png"])
    #expect(made.made == ["made/0002-a-fox.png", "made/0004-a-fox.png"])
    let text = try #require(try contents("made")["manifest-1-of-2.jsonl"])
    let lines = try text.split(separator: UInt8(ascii: "\n")).map {
      try JSONDecoder().decode(Manifest.Line.self, from: Data($0))
    }
    let hashes = try ["a.png", "b.png"].map {
      try PixelImage(imageAt: "\(folder.path)/\($0)").settingsHash
    }
    #expect(lines.map(\.references) == [hashes, hashes] && hashes[0] != hashes[1])
    #expect(hashes.allSatisfy { $0.hasPrefix("64x64:") })
    try FileManager.default.removeItem(atPath: "\(folder.path)/made/0004-a-fox.png")
    let again = try run(command + ["--reference", "a.png", "--reference", "b.png"])
    #expect(again.made == ["made/0004-a-fox.png"] && again.skipped == 1)
    #expect(try contents("made")["manifest-1-of-2.jsonl"] == text)
    let other = try runner.run(command + ["--reference", "b.png"])
    #expect(
      other.status == 73 && other.error.contains("is an image with other settings"),
      "\(other.error)")
    // Without references, a line has no such key.
    let plain = Manifest.Line(
      index: 0, of: 1, file: "a.png", prompt: "a fox", seed: 1, sha256: "00")
    #expect(!String(decoding: try Manifest.bytes(plain), as: UTF8.self).contains("references"))
  }
}
