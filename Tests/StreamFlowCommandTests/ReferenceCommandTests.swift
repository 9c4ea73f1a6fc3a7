import FlowCore
import FlowImage
import FlowTestSupport
import Foundation
import Testing

/// `--reference` and `edit --method instruct`, with tiny models that edit by instruction.
@Suite(.tags(.process)) struct ReferenceCommandTests {
  private let runner: CommandRunner
  private let klein: TinyPipeline
  private var folder: TemporaryFolder { runner.folder }
  private let model = TinyPipeline.model("flux2")

  init() throws {
    runner = try CommandRunner()
    klein = try TinyPipeline("flux2-references")
    for (name, file) in [("0.reference0", "a.png"), ("0.reference1", "b.png")] {
      _ = try folder.write(try klein.image(name).png(), as: file)
    }
  }

  private func image(_ path: String) throws -> PixelImage {
    try PixelImage(imageAt: "\(folder.path)/\(path)")
  }

  private func settings(_ path: String) throws -> String {
    try #require(try ImageMetadata(path: "\(folder.path)/\(path)").parameters)
  }

  /// Runs a command that is to make an image.
  private func made(_ arguments: [String], _ path: String) throws -> PixelImage {
    let outcome = try runner.run(arguments + ["--output", path])
    #expect(outcome.status == 0, "\(outcome.error)")
    return try image(path)
  }

  /// One step of an image of 32 pixels.
  private var short: [String] {
    ["--model", model, "--size", "32x32", "--seed", "3", "--steps", "1", "--quiet"]
  }

  @Test("References of FLUX.2 give diffusers' image, in their order")
  func ordered() throws {
    let command = klein.command(0, model: model)
    let both = try made(command + ["--reference", "a.png", "--reference", "b.png"], "ab.png")
    try klein.expect(both, 0)
    #expect(try settings("ab.png").contains(", References: 2, "))
    let swapped = try made(command + ["--reference", "b.png", "--reference", "a.png"], "ba.png")
    let plain = try made(command, "plain.png")
    #expect(swapped != both && plain != both && plain != swapped)
    #expect(try !settings("plain.png").contains("References"))
  }

  @Test("A reference of FLUX.1 Kontext gives diffusers' image")
  func kontext() throws {
    let kontext = try TinyPipeline("flux-kontext")
    let model = "\(folder.path)/kontext"
    try FileManager.default.copyItem(atPath: TinyPipeline.model("flux"), toPath: model)
    let index = "\(model)/model_index.json"
    try String(contentsOfFile: index, encoding: .utf8)
      .replacing("\"FluxPipeline\"", with: "\"FluxKontextPipeline\"")
      .write(toFile: index, atomically: true, encoding: .utf8)
    _ = try folder.write(try kontext.image("1.reference0").png(), as: "k.png")
    // The golden images do not have the sizes of the model's training.
    let command =
      kontext.command(1, model: model)
      + ["--reference", "k.png", "--reference-area", "\(1 << 20)"]
    try kontext.expect(try made(command, "made.png"), 1)
    #expect(try settings("made.png").contains(", References: 1, Reference area: 1048576, "))
    let two = try runner.run(command + ["--reference", "a.png"])
    #expect(
      two.status == 64 && two.error.contains("at most 1 reference image, got 2"), "\(two.error)")
  }

  @Test("An instruction reads the input as the first reference, at the input's aspect ratio")
  func instruction() throws {
    let edit = ["edit", "a.png", "a fox"]
    let edited = try made(edit + short + ["--method", "instruct"], "edited.png")
    #expect(
      try made(["generate", "a fox", "--reference", "a.png"] + short, "generated.png") == edited)
    #expect(try settings("edited.png") == settings("generated.png"))
    #expect(try !settings("edited.png").contains("Denoising strength"))
    // The default of a model that reads references, unless an option is image-to-image's.
    #expect(try made(edit + short, "default.png") == edited)
    let transformed = try made(edit + short + ["--strength", "0.5"], "transformed.png")
    #expect(transformed != edited)
    #expect(try settings("transformed.png").contains("Denoising strength: 0.5"))
    #expect(try !settings("transformed.png").contains("References"))
    let more = ["--reference", "b.png"]
    #expect(
      try made(edit + short + more, "both.png")
        == made(
          ["generate", "a fox", "--reference", "a.png", "--reference", "b.png"] + short,
          "generated-both.png"))
    // 72x64 pixels: the height follows from the width.
    let shaped = try made(
      edit + ["--model", model, "--width", "72", "--seed", "3", "--steps", "1", "--quiet"],
      "shaped.png")
    #expect(shaped.width == 72 && shaped.height == 64, "\(shaped.width)x\(shaped.height)")
  }

  @Test("Settings of an image ask for its references, and make it again with them")
  func imported() throws {
    let files = ["--reference", "a.png", "--reference", "b.png"]
    let whole = try made(
      ["generate", "a fox", "--reference-area", "4096"] + files + short, "fox.png")
    let again = ["generate", "--from", "fox.png", "--model", model]
    let without = try runner.run(again + ["--output", "without.png"])
    #expect(without.status == 0)
    #expect(
      without.error.contains(
        "made with 2 reference images, which it does not contain; none is read, give each with "
          + "--reference"), "\(without.error)")
    #expect(try image("without.png") != whole)
    let with = try runner.run(again + files + ["--output", "with.png"])
    #expect(with.status == 0 && !with.error.contains("reference"), "\(with.error)")
    #expect(try image("with.png") == whole)
    #expect(try settings("with.png") == settings("fox.png"))
  }

  @Test("Mistakes are one line with the remedy")
  func mistakes() throws {
    let small = PixelImage(width: 40, height: 40, pixels: [UInt8](repeating: 9, count: 4800))
    _ = try folder.write(try small.png(), as: "small.png")
    _ = try folder.write(Array("no image".utf8), as: "broken.png")
    let klein = ["--model", model, "--size", "32x32"]
    let dev = ["--model", TinyPipeline.model("flux"), "--size", "32x32"]
    for (arguments, status, message) in [
      (["generate", "a fox", "--reference", "gone.png"] + klein, 66, "no file 'gone.png'"),
      (["generate", "a fox", "--reference", "broken.png"] + klein, 65, "'broken.png'"),
      (
        ["generate", "a fox", "--reference", "small.png"] + klein, 64,
        "at least 64 pixels a side, and one side at most 8 times the other, got 40x40 (--reference"
      ),
      (
        ["generate", "a fox", "--reference", "a.png"] + dev, 64,
        "flux reads no reference images, and the request has 1"
      ),
      (
        ["generate", "a fox", "--reference", "a.png"], 64,
        "starter reads no reference images, and the request has 1"
      ),
      (["generate", "a fox", "--reference-area", "4096"] + klein, 64, "needs --reference"),
      (
        ["generate", "a fox", "--reference", "a.png", "--reference-area", "0"] + klein, 64,
        "--reference-area must be 1 pixel or more, got 0"
      ),
      (
        ["edit", "a.png", "a fox", "--method", "instruct"] + dev, 64,
        "flux reads no reference images, and the request has 1"
      ),
      (["edit", "gone.png", "a fox", "--method", "instruct"] + klein, 66, "'gone.png'"),
      (
        ["edit", "a.png", "a fox", "--method", "instruct", "--strength", "0.5"] + klein, 64,
        "--method instruct reads the whole input in its own aspect ratio"
      ),
      (
        ["edit", "a.png", "a fox", "--method", "instruct", "--source-prompt", "a dog"] + klein, 64,
        "--method instruct reads no --source-prompt"
      ),
      (
        ["edit", "a.png", "a fox", "--strength", "0.5", "--reference-area", "9"] + klein, 64,
        "--reference-area needs --reference, or --method instruct"
      ),
    ] as [([String], Int32, String)] {
      let outcome = try runner.run(arguments)
      #expect(outcome.status == status, "\(arguments): \(outcome.error)")
      #expect(outcome.error.contains(message), "\(arguments): \(outcome.error)")
    }
    #expect(!FileManager.default.fileExists(atPath: "\(folder.path)/out/0001-a-fox.png"))
  }
}
