import FlowCore
import FlowImage
import FlowTestSupport
import Foundation
import Testing

/// `streamflow transform`, run as a user runs it.
@Suite(.tags(.process)) struct TransformCommandTests {
  private let runner: CommandRunner
  private var folder: TemporaryFolder { runner.folder }

  init() throws {
    runner = try CommandRunner()
    for (name, width) in [("wide", 100), ("tiny", 1)] {
      var pixels: [UInt8] = []
      for place in 0..<width * 40 {
        pixels += [UInt8(place % 251), UInt8(place / width * 6), 90]
      }
      let picture = PixelImage(width: width, height: 40, pixels: pixels)
      _ = try folder.write(try picture.png(), as: "pictures/\(name).png")
    }
  }

  private func run(_ arguments: String...) throws -> CommandRunner.Outcome {
    try runner.run(["transform"] + arguments)
  }

  private func image(_ path: String) throws -> PixelImage {
    try PixelImage(imageAt: "\(folder.path)/\(path)")
  }

  @Test("A file becomes an image named after it, which says how it was made")
  func file() throws {
    let outcome = try run(
      "pictures/wide.png", "a fox", "--seed", "3", "--strength", "0.25", "--steps", "3")
    #expect(outcome.status == 0, "\(outcome.error)")
    #expect(try runner.files("out") == ["0001-wide.png"])
    let inspected = try runner.run(["inspect", "out/0001-wide.png"]).output
    #expect(inspected.hasPrefix("a fox\nSteps: 3, "))
    #expect(inspected.contains("Spacing: uniform, Denoising strength: 0.25, Fit: cover, "))
  }

  @Test("Weak strength leaves the image nearly as it was, full strength makes another")
  func strength() throws {
    for strength in ["0.02", "1"] {
      let outcome = try run(
        "pictures/wide.png", "a fox", "--seed", "3", "--strength", strength, "--fit", "stretch",
        "--guidance", "none", "--output", "\(strength).png")
      #expect(outcome.status == 0, "\(outcome.error)")
    }
    // What a viewer of the source sees at that size, stretched: red by columns, green by rows.
    func distance(_ name: String) throws -> Double {
      let (source, made) = (try image("pictures/wide.png"), try image("\(name).png"))
      var sum = 0
      for y in 0..<64 {
        for x in 0..<64 {
          let place = 3 * (y * 40 / 64 * 100 + x * 100 / 64)
          sum += abs(Int(source.pixels[place + 1]) - Int(made.pixels[3 * (y * 64 + x) + 1]))
        }
      }
      return Double(sum) / (64 * 64)
    }
    #expect(try distance("0.02") < 20)
    #expect(try distance("1") > 2 * distance("0.02"))
  }

  @Test("Folders, files and several images of each, in order, in one JSON report")
  func folders() throws {
    _ = try folder.write(Array("no image".utf8), as: "pictures/broken.png")
    _ = try folder.write(Array("notes".utf8), as: "pictures/notes.txt")
    let outcome = try run(
      "pictures", "pictures/wide.png", "sushi", "--count", "2", "--seed", "1", "--json",
      "--fit", "contain", "--background", "#00ff00")
    // The broken one is reported, the others are transformed.
    #expect(outcome.status == 65)
    let lines = outcome.error.split(separator: "\n").filter { $0.hasPrefix("error: ") }
    #expect(lines.count == 2 && lines[0].contains("pictures/broken.png"), "\(outcome.error)")
    let report = try #require(
      try JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: Any])
    let pictures = try #require(report["pictures"] as? [[String: Any]])
    #expect(report["failed"] as? Int == 2 && report["strength"] as? Double == 0.5)
    #expect(pictures.count == 6)
    let sources = Set(pictures.compactMap { $0["source"] as? String })
    #expect(sources == ["pictures/tiny.png", "pictures/wide.png"])
    #expect(Set(pictures.compactMap { $0["seed"] as? Int }).count == 6)
  }

  @Test("Mistakes are one line with the remedy")
  func mistakes() throws {
    for (arguments, status, message) in [
      (["pictures/wide.png"], 64, "Missing an input and a prompt"),
      (["pictures/wide.png", "pictures/tiny.png"], 64, "The last argument is the prompt"),
      (["nowhere.png", "a fox"], 66, "error: there is no file or folder 'nowhere.png'"),
      (["out-of-here", "a fox"], 66, "error: there is no file or folder 'out-of-here'"),
      (["pictures/wide.png", "a fox", "--strength", "0"], 64, "--strength must be above 0"),
      (["pictures/wide.png", "a fox", "--background", "red"], 64, "--background"),
      (["pictures/wide.png", "a fox", "--blend", "sushi:2"], 64, "--blend"),
    ] as [([String], Int32, String)] {
      let outcome = try runner.run(["transform"] + arguments)
      #expect(outcome.status == status, "\(arguments): \(outcome.error)")
      #expect(outcome.error.contains(message), "\(outcome.error)")
      #expect(!FileManager.default.fileExists(atPath: "\(folder.path)/out/0001-wide.png"))
    }
  }

  @Test("An input is never replaced: by its name, another spelling, links, or as the sheet")
  func inputs() throws {
    let manager = FileManager.default
    func path(_ name: String) -> String { "\(folder.path)/\(name)" }
    let input = path("pictures/wide.png")
    try manager.createSymbolicLink(atPath: path("link.png"), withDestinationPath: input)
    try manager.createSymbolicLink(
      atPath: path("alias"), withDestinationPath: path("pictures"))
    try manager.linkItem(atPath: input, toPath: path("hard.png"))
    // What the first image of a run into a folder is called.
    let bytes = try Data(contentsOf: URL(filePath: input))
    _ = try folder.write(Array(bytes), as: "made/0001-tiny.png")
    let spelled = "pictures/../pictures/./wide.png"
    for (inputs, options) in [
      (["pictures/wide.png"], ["--output", "pictures/wide.png"]),
      (["pictures/wide.png"], ["--output", "pictures/wide.png", "--resume"]),
      (["pictures/wide.png"], ["--output", spelled]),
      (["pictures/wide.png"], ["--output", input]),
      (["pictures/wide.png"], ["--output", "link.png"]),
      (["pictures/wide.png"], ["--output", "alias/wide.png"]),
      (["pictures/wide.png"], ["--output", "hard.png"]),
      (["link.png"], ["--output", "pictures/wide.png"]),
      (["alias/wide.png"], ["--output", "hard.png"]),
      (["pictures"], ["--contact-sheet", "pictures/wide.png"]),
      (["pictures"], ["--contact-sheet", spelled]),
      (["pictures"], ["--contact-sheet", "alias/tiny.png"]),
      (["pictures"], ["--contact-sheet", "link.png"]),
      (["pictures/wide.png"], ["--contact-sheet", "hard.png", "--resume"]),
      (["pictures/tiny.png", "made/0001-tiny.png"], ["--output", "made"]),
    ] {
      let outcome = try runner.run(
        ["transform"] + inputs + ["a fox"] + options
          + (options.contains("--resume") ? [] : ["--overwrite"]))
      #expect(outcome.status == 64, "\(options): \(outcome.error)")
      #expect(outcome.error.contains("would replace the input"), "\(options): \(outcome.error)")
    }
    for name in ["pictures/wide.png", "link.png", "hard.png", "made/0001-tiny.png"] {
      #expect(try Data(contentsOf: URL(filePath: path(name))) == bytes, "\(name)")
    }
    // Nothing was created either.
    #expect(try runner.files("made") == ["0001-tiny.png"])
    #expect(try runner.files("pictures") == ["tiny.png", "wide.png"])
    #expect(!manager.fileExists(atPath: path("out")))
  }

  @Test("Blended prompts and seeds are said in the image")
  func blends() throws {
    let outcome = try runner.run([
      "generate", "a fox", "--blend", "sushi:0.25", "--seed-blend", "7:0.5", "--seed", "1",
    ])
    #expect(outcome.status == 0, "\(outcome.error)")
    let inspected = try runner.run(["inspect", "out/0001-a-fox.png"]).output
    #expect(
      inspected.contains(
        "Blend: spherical sushi:0.25, Variation seed: 7, Variation seed strength: 0.5"))
  }
}
