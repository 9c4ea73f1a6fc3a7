import FlowTestSupport
import Foundation
import Testing

/// LoRAs on the command line.
@Suite(.tags(.process)) struct LoRACommandTests {
  private let runner: CommandRunner

  init() throws {
    runner = try CommandRunner()
    let layer = "mid_block.attentions.0.transformer_blocks.0.attn1.to_q"
    let ones = [Float](repeating: 0.1, count: 128)
    _ = try runner.folder.write(
      SafetensorsWriter.file([
        ("unet.\(layer).lora_A.weight", [1, 128], ones),
        ("unet.\(layer).lora_B.weight", [128, 1], ones),
        ("unet.nowhere.lora_A.weight", [1, 2], [1, 2]),
        ("unet.nowhere.lora_B.weight", [2, 1], [1, 2]),
      ]), as: "a:b.safetensors")
    _ = try runner.folder.write(
      SafetensorsWriter.file([("conv_in.bias", [64], [Float](repeating: 0.1, count: 64))]),
      as: "delta.safetensors")
  }

  @Test("What was applied is reported in a line, in JSON, in the image, and not at all")
  func told() throws {
    let line =
      "'a:b.safetensors': 2 of 4 tensors applied; not: unet.nowhere.lora_A.weight, "
      + "unet.nowhere.lora_B.weight\n"
    let options = ["generate", "fox", "--seed", "1", "--lora", "a:b.safetensors:-0.5"]
    let plain = try runner.run(options)
    #expect(plain.status == 0 && plain.error == line, "\(plain.error)")
    let quiet = try runner.run(options + ["--quiet", "--lora", "a:b.safetensors"])
    #expect(quiet.status == 0 && quiet.error.isEmpty)
    let json = try runner.run(options + ["--json", "--delta-weights", "delta.safetensors:2"])
    struct Report: Decodable {
      struct Addition: Decodable {
        let file: String
        let scale: Float
        let applied: Int
        let tensors: Int
        let rest: [String]
      }
      let loras: [Addition]
      let delta_weights: [Addition]
    }
    let report = try JSONDecoder().decode(Report.self, from: Data(json.output.utf8))
    #expect(report.loras.map(\.file) == ["a:b.safetensors"] && report.loras[0].scale == -0.5)
    #expect(report.loras[0].applied == 2 && report.loras[0].rest.count == 2)
    #expect(report.delta_weights.map(\.applied) == [1] && report.delta_weights[0].scale == 2)
    let inspected = try runner.run(["inspect", "out/0003-fox.png"])
    #expect(
      inspected.output.contains(
        "Delta weights: delta.safetensors:2.0, LoRA: a:b.safetensors:-0.5"))
  }

  @Test("A LoRA is described by kind, rank and layers, without a model")
  func inspected() throws {
    let outcome = try runner.run(["inspect", "a:b.safetensors"])
    #expect(
      outcome.output == """
        file       a:b.safetensors (4 tensors)
        kind       LoRA
        rank       1
        layers     2 of network

        """)
  }

  @Test("A file that cannot be added is an error with the remedy")
  func refused() throws {
    let wrong = try runner.run(["generate", "fox", "--lora", "delta.safetensors"])
    #expect(wrong.status == 65)
    #expect(
      wrong.error
        == "error: 'delta.safetensors' is not a LoRA: none of its 1 tensors has a LoRA name, "
        + "such as 'unet.conv_in.lora_A.weight'; whole differences are delta weights (--lora, "
        + "--delta-weights)\n")
    let absent = try runner.run(["generate", "fox", "--lora", "gone.safetensors:0.5"])
    #expect(absent.status == 66)
    #expect(absent.error.hasPrefix("error: there is no file at 'gone.safetensors'; expected a "))
  }
}
