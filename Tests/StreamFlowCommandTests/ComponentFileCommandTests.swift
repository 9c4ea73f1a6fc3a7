import FlowCore
import FlowImage
import FlowTestSupport
import Foundation
import Testing

/// `--transformer` and `--text-encoder`, with a tiny FLUX.1 and files of its parts.
@Suite(.tags(.process)) struct ComponentFileCommandTests {
  private let runner: CommandRunner
  private var folder: TemporaryFolder { runner.folder }
  private let model = TinyPipeline.model("flux")
  private static let transformer = "transformer/diffusion_pytorch_model.safetensors"

  init() throws { runner = try CommandRunner() }

  private func made(_ arguments: [String], _ path: String) throws -> PixelImage {
    let outcome = try runner.run(
      ["generate", "fox", "--size", "32x32", "--seed", "3", "--steps", "1", "--quiet"] + arguments
        + ["--output", path])
    #expect(outcome.status == 0, "\(outcome.error)")
    return try PixelImage(imageAt: "\(folder.path)/\(path)")
  }

  private func settings(_ path: String) throws -> String {
    try #require(try ImageMetadata(path: "\(folder.path)/\(path)").parameters)
  }

  /// A model's part, its weights multiplied, as a safetensors file.
  private func write(_ part: String, as name: String, times factor: Float = 1) throws {
    let file = try Golden("\(model)/\(part)")
    let tensors = try file.names.map {
      ($0, try file.shape($0), try file.floats($0).map { factor * $0 })
    }
    _ = try folder.write(SafetensorsWriter.file(tensors), as: name)
  }

  @Test("A folder without weights is completed by files, and gives the image of the whole model")
  func completed() throws {
    let copy = "\(folder.path)/flux"
    try FileManager.default.copyItem(atPath: model, toPath: copy)
    let parts = [
      Self.transformer, "text_encoder/model.safetensors", "text_encoder_2/model.safetensors",
    ]
    for (part, name) in zip(parts, ["dit", "clip", "t5"]) {
      try FileManager.default.moveItem(
        atPath: "\(copy)/\(part)", toPath: "\(folder.path)/\(name).safetensors")
    }
    let lacking = try runner.run(["generate", "fox", "--model", "flux"])
    #expect(
      lacking.status == 66 && lacking.error.contains("'flux/transformer' has no weights"),
      "\(lacking.error)")
    // In any order: each encoder replaces the one that it fits.
    let joined = try made(
      [
        "--model", "flux", "--transformer", "dit.safetensors", "--text-encoder", "t5.safetensors",
        "--text-encoder", "clip.safetensors",
      ], "joined.png")
    #expect(try made(["--model", model], "whole.png") == joined)
    #expect(
      try settings("joined.png").contains(
        ", Transformer: dit.safetensors, Text encoder: t5.safetensors, "
          + "Text encoder: clip.safetensors, "))
    #expect(try !settings("whole.png").contains("Transformer"))
  }

  @Test("A transformer in a GGUF file gives the image of the same weights in the folder")
  func gguf() throws {
    let file = try Golden("\(model)/\(Self.transformer)")
    var writer = GGUFWriter(
      try file.names.map { name in
        GGUFWriter.Tensor(
          name, try file.shape(name).reversed().map(UInt64.init),
          SafetensorsWriter.bytes(of: try file.floats(name)))
      })
    writer.settings = [("general.architecture", 8, GGUFWriter.text("flux"))]
    _ = try folder.write(writer.bytes, as: "dit.gguf")
    #expect(
      try made(["--model", model, "--transformer", "dit.gguf"], "gguf.png")
        == made(["--model", model], "whole.png"))
    #expect(try settings("gguf.png").contains(", Transformer: dit.gguf, "))
    _ = try folder.write(Array(writer.bytes.dropLast(100)), as: "cut.gguf")
    let cut = try runner.run(["generate", "fox", "--model", model, "--transformer", "cut.gguf"])
    #expect(cut.status == 65 && cut.error.contains("'cut.gguf'"), "\(cut.error)")
  }

  @Test("Other weights give another image, and --from names the files that it does not read")
  func others() throws {
    try write(Self.transformer, as: "dit.safetensors", times: 1.5)
    try write("text_encoder/model.safetensors", as: "clip.safetensors", times: 1.5)
    let whole = try made(["--model", model], "whole.png")
    #expect(try made(["--model", model, "--transformer", "dit.safetensors"], "dit.png") != whole)
    #expect(
      try made(["--model", model, "--text-encoder", "clip.safetensors"], "clip.png") != whole)
    for (image, option) in [("dit", "--transformer"), ("clip", "--text-encoder")] {
      let again = ["generate", "--from", "\(image).png", "--model", model, "--output"]
      let without = try runner.run(again + ["without-\(image).png"])
      #expect(without.status == 0)
      #expect(
        without.error.contains(
          "the file '\(image).safetensors' is not read; add it with \(option) FILE"),
        "\(without.error)")
      #expect(try PixelImage(imageAt: "\(folder.path)/without-\(image).png") == whole)
      let with = try runner.run(
        again + ["with-\(image).png", option, "\(image).safetensors", "--quiet"])
      #expect(with.status == 0 && with.error.isEmpty, "\(with.error)")
      let files = try ["", "with-"].map {
        try Data(contentsOf: URL(filePath: "\(folder.path)/\($0)\(image).png"))
      }
      #expect(files[0] == files[1])
    }
  }

  @Test("Mistakes are one line with the file and the option")
  func mistakes() throws {
    _ = try folder.write(Array("no weights".utf8), as: "notes.safetensors")
    let flux = ["--model", model]
    let (other, qwen) = (
      "\(TinyPipeline.model("flux2"))/\(Self.transformer)",
      "\(TinyPipeline.model("flux2"))/text_encoder/model.safetensors"
    )
    for (arguments, status, message) in [
      (flux + ["--transformer", "gone.safetensors"], 66, "cannot open 'gone.safetensors'"),
      (flux + ["--text-encoder", "gone.gguf"], 66, "cannot open 'gone.gguf'"),
      (flux + ["--transformer", "notes.safetensors"], 65, "'notes.safetensors' is not a whole"),
      (flux + ["--text-encoder", "notes.safetensors"], 65, "'notes.safetensors' is not a whole"),
      (flux + ["--transformer", other], 65, "'\(other)' is not a transformer for '\(model)': "),
      (
        flux + ["--text-encoder", qwen], 65,
        "'\(qwen)' has the text encoder Qwen3 of width 16, and '\(model)' has no component"
      ),
      (flux + ["--text-encoder", other], 65, "'\(other)' has no text encoder that is supported"),
      (["--transformer", other], 65, "'\(other)' has a network, and "),
    ] as [([String], Int32, String)] {
      let outcome = try runner.run(["generate", "fox", "--size", "32x32"] + arguments)
      #expect(outcome.status == status, "\(arguments): \(outcome.error)")
      #expect(outcome.error.contains("error: \(message)"), "\(arguments): \(outcome.error)")
      if status == 65, !message.hasPrefix("'notes") {
        #expect(outcome.error.hasSuffix(" (\(arguments[arguments.count - 2]))\n"))
      }
    }
  }
}
