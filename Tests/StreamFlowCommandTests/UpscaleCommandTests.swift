import FlowCore
import FlowImage
import FlowTestSupport
import Foundation
import Testing

/// `streamflow upscale`, and images made larger by the other commands, run as a user runs them.
@Suite(.tags(.process)) struct UpscaleCommandTests {
  private let runner: CommandRunner
  private var folder: TemporaryFolder { runner.folder }

  init() throws {
    runner = try CommandRunner()
    _ = try folder.write(TinyUpscaler.compact(), as: "tiny-x4.safetensors")
    for (name, width, height) in [("wide", 20, 9), ("small", 5, 6)] {
      let pixels = (0..<3 * width * height).map { UInt8($0 * 7 % 251) }
      let image = PixelImage(width: width, height: height, pixels: pixels)
      _ = try folder.write(
        try image.png(texts: [("parameters", "a fox\nSteps: 4, Seed: 7, Size: \(width)x\(height)")]
        ),
        as: "images/\(name).png")
    }
    let plain = PixelImage(width: 8, height: 8, pixels: [UInt8](repeating: 90, count: 192))
    _ = try folder.write(try plain.jpeg(quality: 90), as: "plain.jpg")
  }

  private func image(_ path: String) throws -> PixelImage {
    try PixelImage(imageAt: "\(folder.path)/\(path)")
  }

  private func settings(_ path: String) throws -> String? {
    try ImageMetadata(path: "\(folder.path)/\(path)").parameters
  }

  @Test("Files and folders become larger, their settings are kept and extended")
  func files() throws {
    let outcome = try runner.run([
      "upscale", "images", "plain.jpg", "--upscaler", "tiny-x4.safetensors",
    ])
    #expect(outcome.status == 0, "\(outcome.error)")
    #expect(try runner.files("out") == ["0001-small.png", "0002-wide.png", "0003-plain.png"])
    let wide = try image("out/0002-wide.png")
    #expect(wide.width == 80 && wide.height == 36)
    let added = "Postprocess upscale by: 4, Postprocess upscaler: tiny-x4"
    #expect(
      try settings("out/0002-wide.png") == "a fox\nSteps: 4, Seed: 7, Size: 20x9, \(added)")
    #expect(try settings("out/0003-plain.png")?.hasPrefix("\(added), Version: StreamFlow ") == true)
    let half = try runner.run([
      "upscale", "images/wide.png", "--upscaler", "tiny-x4.safetensors", "--scale", "2",
      "--output", "half.jpg", "--json",
    ])
    #expect(half.status == 0, "\(half.error)")
    #expect(try image("half.jpg").width == 40)
    let report = try #require(
      try JSONSerialization.jsonObject(with: Data(half.output.utf8)) as? [String: Any])
    #expect(report["upscaler"] as? String == "tiny-x4" && report["scale"] as? Int == 2)
    let pictures = try #require(report["pictures"] as? [[String: Any]])
    #expect(pictures.count == 1 && pictures[0]["source"] as? String == "images/wide.png")
  }

  @Test("An input that is not an image is reported, and the others are upscaled")
  func broken() throws {
    _ = try folder.write(Array("no image".utf8), as: "images/broken.png")
    let outcome = try runner.run(["upscale", "images", "--scale", "2", "--contact-sheet", "s.png"])
    #expect(outcome.status == 65, "\(outcome.error)")
    #expect(outcome.error.contains("images/broken.png"), "\(outcome.error)")
    #expect(try runner.files("out") == ["0002-small.png", "0003-wide.png"])
    #expect(FileManager.default.fileExists(atPath: "\(folder.path)/s.png"))
  }

  @Test("Generated and transformed images are made larger, and say so")
  func generated() throws {
    let made = try runner.run([
      "generate", "a fox", "--seed", "7", "--steps", "1", "--upscale", "4", "--upscaler",
      "tiny-x4.safetensors", "--output", "fox.png",
    ])
    #expect(made.status == 0, "\(made.error)")
    #expect(try image("fox.png").width == 256)
    let text = try #require(try settings("fox.png"))
    #expect(text.contains("Size: 64x64, "))
    #expect(text.hasSuffix(", Postprocess upscale by: 4, Postprocess upscaler: tiny-x4"))
    let resumed = try runner.run([
      "generate", "a fox", "--seed", "7", "--steps", "1", "--upscale", "4", "--upscaler",
      "tiny-x4.safetensors", "--output", "fox.png", "--resume",
    ])
    #expect(resumed.output.contains("were there already"), "\(resumed.output)\(resumed.error)")
    let transformed = try runner.run([
      "transform", "images/wide.png", "a fox", "--steps", "1", "--upscale", "2",
    ])
    #expect(transformed.status == 0, "\(transformed.error)")
    #expect(try image("out/0001-wide.png").width == 128)
    #expect(
      try settings("out/0001-wide.png")?.hasSuffix("Postprocess upscaler: Lanczos") == true)
  }

  @Test("A model's own upscaler is the default for its images, and another may be chosen")
  func own() throws {
    let model = "\(folder.path)/own"
    try FileManager.default.copyItem(atPath: Starter64.folder, toPath: model)
    _ = try folder.write(TinyUpscaler.compact(), as: "own/streamflow-upscaler.safetensors")
    let arguments = ["generate", "a fox", "--model", model, "--seed", "7", "--upscale", "4"]
    for (name, more, expected) in [
      ("own.png", [], "own upscaler"), ("lanczos.png", ["--upscaler", "lanczos"], "Lanczos"),
      ("named.png", ["--upscaler", "tiny-x4.safetensors"], "tiny-x4"),
    ] {
      let made = try runner.run(arguments + more + ["--output", name])
      #expect(made.status == 0, "\(made.error)")
      #expect(try settings(name)?.hasSuffix("Postprocess upscaler: \(expected)") == true)
    }
    #expect(try image("own.png") == image("named.png"))
    #expect(try image("own.png") != image("lanczos.png"))
    _ = try folder.write(Array("nothing".utf8), as: "own/streamflow-upscaler.safetensors")
    let broken = try runner.run(arguments + ["--output", "broken.png"])
    #expect(broken.status == 65, "\(broken.status)")
    #expect(broken.error.contains("streamflow-upscaler.safetensors"), "\(broken.error)")
  }

  @Test("A second pass makes a larger image of the first")
  func hires() throws {
    let made = try runner.run([
      "generate", "a fox", "a rocket", "--seed", "7", "--steps", "2", "--hires", "1.5:0.5",
      "--json",
    ])
    #expect(made.status == 0, "\(made.error)")
    for (name, prompt) in [("0001-a-fox", "a fox"), ("0002-a-rocket", "a rocket")] {
      #expect(try image("out/\(name).png").width == 96)
      let text = try #require(try settings("out/\(name).png"))
      #expect(text.hasPrefix("\(prompt)\nSteps: 2, "))
      #expect(
        text.hasSuffix(
          ", Denoising strength: 0.5, Hires upscale: 1.5, Hires upscaler: Lanczos"))
    }
    #expect(made.output.contains("\"hires\" : 1.5"))
  }

  @Test("Mistakes are one line with the remedy")
  func mistakes() throws {
    _ = try folder.write(
      SafetensorsWriter.file([("a.weight", [1], [0])]), as: "other.safetensors")
    _ = try folder.write(Array("PK\u{3}\u{4}...".utf8), as: "model.pth")
    _ = try folder.write(TinyUpscaler.compact(factor: 2), as: "x2.safetensors")
    let wide = "images/wide.png"
    for (arguments, status, message) in [
      (["upscale"], 64, "Missing an input"),
      (["upscale", wide, "--scale", "3"], 64, "--scale"),
      (["upscale", wide, "--resume"], 64, "--resume tells images apart by their seeds"),
      (["upscale", wide, "--precision", "int8"], 64, "--precision int8, --weights and --key-down"),
      (["upscale", wide, "--key-downsampling", "2"], 64, "--key-downsampling are not supported"),
      (["upscale", "nowhere.png"], 66, "there is no file or folder 'nowhere.png'"),
      (["upscale", wide, "--upscaler", "nowhere.safetensors"], 66, "nowhere.safetensors"),
      (["upscale", wide, "--upscaler", "model.pth"], 65, "convert it to safetensors"),
      (["upscale", wide, "--upscaler", "other.safetensors"], 65, "expected the weights of SRVGG"),
      (
        ["upscale", wide, "--upscaler", "x2.safetensors"], 64,
        "ask for 2, or choose another upscaler (--upscaler, --scale)"
      ),
      (["upscale", wide, "--upscaler-blend", "x2.safetensors:0.5"], 64, "name it with"),
      (
        ["upscale", wide, "--upscaler", "x2.safetensors", "--upscaler-blend", "x2.safetensors:2"],
        64, "must be 0 to 1"
      ),
      (["upscale", wide, "--output", wide, "--overwrite"], 64, "would replace the input"),
      (["generate", "a fox", "--upscaler", "x2.safetensors"], 64, "--upscaler is not used"),
      (["generate", "a fox", "--upscale", "8"], 64, "--upscale"),
      (["generate", "a fox", "--hires", "1"], 64, "--hires"),
      (["generate", "a fox", "--hires", "2:0"], 64, "--hires"),
      (["generate", "a fox", "--hires-steps", "3"], 64, "--hires-steps needs --hires"),
    ] as [([String], Int32, String)] {
      let outcome = try runner.run(arguments)
      #expect(outcome.status == status, "\(arguments): \(outcome.error)")
      #expect(outcome.error.contains(message), "\(arguments): \(outcome.error)")
      #expect(!FileManager.default.fileExists(atPath: "\(folder.path)/out/0001-wide.png"))
    }
  }
}
