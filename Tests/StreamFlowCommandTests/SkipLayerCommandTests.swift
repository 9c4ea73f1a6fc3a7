import FlowCore
import FlowImage
import FlowTestSupport
import Foundation
import Testing

/// `--skip-layers`, with a tiny Stable Diffusion 3.
@Suite(.tags(.process)) struct SkipLayerCommandTests {
  private let runner: CommandRunner
  private let pipeline: TinyPipeline
  private let model = TinyPipeline.model("sd3")

  init() throws {
    runner = try CommandRunner()
    pipeline = try TinyPipeline("sd3-skip-layers")
  }

  /// The option of a case.
  private func option(_ index: Int) throws -> String {
    let item = pipeline.cases[index]
    let layers = try #require(item.layers).map(String.init).joined(separator: ",")
    return try "\(layers):scale=\(#require(item.scale)),start=\(#require(item.start))"
      + ",stop=\(#require(item.stop))"
  }

  private func made(_ arguments: [String], _ path: String) throws -> PixelImage {
    let outcome = try runner.run(arguments + ["--output", path])
    #expect(outcome.status == 0, "\(outcome.error)")
    return try PixelImage(imageAt: "\(runner.folder.path)/\(path)")
  }

  private func settings(_ path: String) throws -> String {
    try #require(try ImageMetadata(path: "\(runner.folder.path)/\(path)").parameters)
  }

  @Test("Layers, scale and range give diffusers' image, and the file names them")
  func images() throws {
    for index in 0..<3 {
      let option = try option(index)
      let image = try made(
        pipeline.command(index, model: model) + ["--skip-layers", option], "\(index).png")
      try pipeline.expect(image, index)
      #expect(try settings("\(index).png").contains("Skip layers: \"\(option)\", "))
    }
    let plain = try made(pipeline.command(0, model: model), "plain.png")
    #expect(try !settings("plain.png").contains("Skip layers"))
    #expect(try plain != PixelImage(imageAt: "\(runner.folder.path)/0.png"))
  }

  @Test("An image with skipped layers is made again from its settings, byte for byte")
  func imported() throws {
    let command = pipeline.command(2, model: model) + ["--skip-layers", "0,1:scale=2,stop=0.5"]
    _ = try made(command, "fox.png")
    #expect(
      try settings("fox.png").contains("Skip layers: \"0,1:scale=2.0,start=0.01,stop=0.5\""))
    _ = try made(["generate", "--from", "fox.png", "--model", model, "--quiet"], "again.png")
    let files = try ["fox.png", "again.png"].map {
      try Data(contentsOf: URL(filePath: "\(runner.folder.path)/\($0)"))
    }
    #expect(files[0] == files[1])
  }

  @Test("Mistakes are one line with the remedy")
  func mistakes() throws {
    let small = ["--model", model, "--size", "32x32"]
    for (arguments, message) in [
      (small + ["--skip-layers", "9"], "the layers 0 to 1, each once, got [9] (--skip-layers)"),
      (small + ["--skip-layers", "0,0"], "the layers 0 to 1, each once, got [0, 0]"),
      (
        small + ["--skip-layers", "0:start=0.5,stop=0.2"], "of 0 to 1 of the steps, got 0.5 to 0.2"
      ),
      (small + ["--skip-layers", "a"], "The value 'a' is invalid for '--skip-layers"),
      (small + ["--skip-layers", "0:scale=x"], "'0:scale=x' is invalid for '--skip-layers"),
      (
        small + ["--skip-layers", "1", "--guidance", "onetime-negative", "--cfg", "2"],
        "needs full guidance or none, got onetime-negative (--skip-layers)"
      ),
      (["--skip-layers", "1"], "starter has no skip-layer guidance, which Stable Diffusion 3"),
      (
        ["--skip-layers", "1", "--model", TinyPipeline.model("flux"), "--size", "32x32"],
        "flux has no skip-layer guidance"
      ),
    ] {
      let outcome = try runner.run(["generate", "a fox"] + arguments)
      #expect(outcome.status == 64, "\(arguments): \(outcome.error)")
      #expect(outcome.error.contains(message), "\(arguments): \(outcome.error)")
    }
    #expect(!FileManager.default.fileExists(atPath: "\(runner.folder.path)/out/0001-a-fox.png"))
  }
}
