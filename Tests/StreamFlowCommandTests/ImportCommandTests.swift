import FlowCore
import FlowImage
import FlowTestSupport
import Foundation
import Testing

/// `generate --from`: the settings of an image.
@Suite(.tags(.process)) struct ImportCommandTests {
  private let runner: CommandRunner
  private var folder: TemporaryFolder { runner.folder }

  init() throws { runner = try CommandRunner() }

  private func bytes(_ path: String) throws -> Data {
    try Data(contentsOf: URL(filePath: "\(folder.path)/\(path)"))
  }

  /// An image that carries a settings text.
  private func image(_ text: String, as path: String, keyword: String = "parameters") throws {
    let image = PixelImage(width: 8, height: 8, pixels: [UInt8](repeating: 9, count: 192))
    _ = try folder.write(try image.png(texts: [(keyword, text)]), as: path)
  }

  @Test(
    "An image is made again, byte for byte",
    arguments: [
      ["a fox, on \"a\" blue background"],
      ["a fox\nsecond line: x", "--negative-prompt", "red,\nblue", "--guidance-scale", "2.5"],
      ["a fox", "--steps", "6", "--solver", "ab2", "--spacing", "uniform", "--noise", "cuda"],
      ["a fox", "--guidance", "onetime-negative", "--cfg", "1.5", "--delta", "0.5"],
      ["a (fox:1.2)", "--prompt-syntax", "plain", "--size", "64x32", "--precision", "int8"],
      [
        "a fox", "--blend", "sushi, raw:0.25", "--blend", "a rocket:0.125", "--blend-kind",
        "linear",
      ],
      ["a fox", "--seed-blend", "7:0.5", "--clip-skip", "1", "--guidance", "full", "--cfg", "1"],
      ["a fox", "--schedule", "rectified", "--steps", "3"],
      ["a fox", "--steps", "2", "--hires", "1.5:0.5", "--hires-steps", "1"],
    ])
  func roundTrip(arguments: [String]) throws {
    for file in ["a.png", "a.jpg"] {
      let made = try runner.run(["generate"] + arguments + ["--output", file])
      #expect(made.status == 0, "\(made.error)")
      let again = try runner.run(["generate", "--from", file, "--output", "again-\(file)"])
      #expect(again.status == 0 && again.error == made.error, "\(again.error)")
      #expect(try bytes(file) == bytes("again-\(file)"))
    }
  }

  @Test("Options take precedence over the image, and the rest stays")
  func precedence() throws {
    #expect(
      try runner.run([
        "generate", "a fox", "--seed", "3", "--steps", "2", "--negative", "red", "--cfg", "2",
        "--output", "fox.png",
      ]).status == 0)
    let outcome = try runner.run([
      "generate", "a rocket", "--from", "fox.png", "--steps", "3", "--cfg-scale", "1.5", "-s", "9",
      "-n", "2", "--output", "made",
    ])
    #expect(outcome.status == 0 && outcome.error.isEmpty, "\(outcome.error)")
    let text = try runner.run(["inspect", "made/0002-a-rocket.png"]).output
    #expect(
      text.hasPrefix("a rocket\nNegative prompt: red\nSteps: 3, ")
        && text.contains("CFG scale: 1.5, Seed: 10, "), "\(text)")
  }

  @Test("AUTOMATIC1111's settings are taken as far as they go, and the rest is reported")
  func automatic1111() throws {
    try image(
      """
      a fox
      on a blue background
      Negative prompt: blurry
      Steps: 3, Sampler: DPM++ 2M Karras, CFG scale: 2, Seed: 11, Size: 32x64, Model: starter, \
      ADetailer model: face, Version: v1.6.0
      """, as: "web.png")
    let outcome = try runner.run(["generate", "--from", "web.png", "--output", "fox.png"])
    #expect(outcome.status == 0, "\(outcome.error)")
    #expect(
      outcome.error.hasPrefix(
        """
        warning: not supported and ignored: ADetailer model
        warning: the sampler 'DPM++ 2M Karras' is not supported; using the schedule flow-match \
        with the solver euler

        """))
    #expect(
      try runner.run(["inspect", "fox.png"]).output.hasPrefix(
        "a fox\non a blue background\nNegative prompt: blurry\nSteps: 3, Sampler: euler, "
          + "Schedule: flow-match, CFG scale: 2.0, Seed: 11, Size: 32x64, Model: starter, RNG: CUDA"
      ))
    // Where the user chooses the sampler, there is nothing to report of it.
    let chosen = try runner.run(["generate", "--from", "web.png", "--solver", "heun"])
    #expect(chosen.error.hasPrefix("warning: not supported and ignored: ADetailer model\n"))
    #expect(!chosen.error.contains("sampler"))
  }

  @Test("What an image cannot give is an error or a warning with the remedy")
  func problems() throws {
    try image("a fox\nSteps: 2, Seed: 1, Model: dreamshaper_8", as: "model.png")
    try image("a fox\nSteps: 2, Seed: 1, Model: ../secret", as: "path.png")
    try image("{\"1\": {}}", as: "comfy.png", keyword: "workflow")
    _ = try folder.write(Array("RIFF0000WEBPVP8 ".utf8), as: "x.webp")
    for (path, status, message) in [
      ("model.png", 66, "error: 'model.png' was made with the model 'dreamshaper_8', which is "),
      ("path.png", 66, "error: 'path.png' was made with the model '../secret', which is "),
      ("comfy.png", 65, "error: 'comfy.png' holds no generation settings (it holds workflow)"),
      ("x.webp", 65, "error: cannot read 'x.webp': this is a WebP "),
      ("gone.png", 66, "error: there is no file 'gone.png'\n"),
    ] {
      let outcome = try runner.run(["generate", "--from", path])
      #expect(outcome.status == Int32(status), "\(path): \(outcome.error)")
      #expect(outcome.error.hasPrefix(message), "\(outcome.error)")
    }
    let other = try runner.run(["generate", "--from", "model.png", "--model", "starter"])
    #expect(other.status == 0 && other.error.isEmpty, "\(other.error)")
    #expect(
      try runner.run(["transform", "model.png", "a fox", "--output", "t.png"]).status == 0)
    let transformed = try runner.run(["generate", "--from", "t.png"])
    #expect(
      transformed.error
        == "warning: 't.png' was made from another image, which it does not contain; starting "
        + "from noise\n")
    try image("a fox\nSteps: 1, Seed: 1, Model: starter, LoRA: film:0.5, VAE: taesd", as: "l.png")
    let lora = try runner.run(["generate", "--from", "l.png"])
    #expect(
      lora.error == """
        warning: LoRA 'film:0.5' is not applied; add it with --lora FILE:SCALE
        warning: the VAE 'taesd' is not applied; choose it with --vae

        """)
  }

  @Test("Settings are inspected in parts")
  func inspected() throws {
    try image(
      "a fox\nNegative prompt: red\nSteps: 4, CFG scale: 1.5, Seed: 18446744073709551615, "
        + "Size: 64x64, LoRA: a:0.5, LoRA: b:1.0", as: "fox.png")
    let outcome = try runner.run(["inspect", "fox.png", "--json"])
    let report = try #require(
      try JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: Any])
    #expect(report["prompt"] as? String == "a fox" && report["negative_prompt"] as? String == "red")
    let settings = try #require(report["settings"] as? [String: Any])
    #expect(settings["steps"] as? Int == 4 && settings["cfg_scale"] as? Double == 1.5)
    #expect(settings["size"] as? String == "64x64")
    #expect(settings["lora"] as? [String] == ["a:0.5", "b:1.0"])
    #expect(outcome.output.contains("18446744073709551615"))
    #expect((report["parameters"] as? String)?.hasPrefix("a fox\nNegative") == true)
    let gone = try runner.run(["inspect", "gone.png"])
    #expect(gone.status == 66 && gone.error == "error: there is no file 'gone.png'\n")
    let other = try runner.run(["inspect", "gone.webp"])
    #expect(other.status == 66 && other.error == "error: there is no file 'gone.webp'\n")
  }
}
