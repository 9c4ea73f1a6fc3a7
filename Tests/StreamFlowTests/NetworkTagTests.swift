import FlowTestSupport
import FlowText
import Foundation
import Testing

@testable import FlowModels
@testable import StreamFlow

/// Tags such as `<lora:name:0.8>` in prompts, which a prompt cannot load.
@Suite struct NetworkTagTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func checkpoint(_ name: String, scale: Float) throws -> Checkpoint {
    let layer = "unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_q"
    let ones = [Float](repeating: 0.1, count: 128)
    let path = try folder.write(
      SafetensorsWriter.file([
        ("\(layer).lora_A.weight", [1, 128], ones), ("\(layer).lora_B.weight", [128, 1], ones),
      ]), as: name)
    return try Checkpoint.starter64().applying(loras: [.init(path: path, scale: scale)])
  }

  @Test("A tag for what is not loaded is reported once, with its name and weight")
  func absent() throws {
    let starter = try Checkpoint.starter64()
    let unused = starter.unusedTags(in: "a fox <lora:watercolor:0.8> <lora:watercolor:0.8>")
    #expect(
      unused.map(\.message) == [
        "the prompt requests the LoRA 'watercolor' with weight 0.8 (<lora:watercolor:0.8>), which a "
          + "prompt cannot load; 'watercolor' is not loaded, and the tag was removed from the prompt"
      ])
    #expect(starter.unusedTags(in: "a fox <lora:watercolor:0.8>", syntax: .plain).isEmpty)
    #expect(starter.unusedTags(in: "a <cat-toy> (fox:1.2)").isEmpty)
    let hypernetwork = starter.unusedTags(in: "<hypernet:x:1>")
    #expect(hypernetwork.first?.message.contains("hypernetworks are not supported") == true)
  }

  @Test("A tag for a LoRA that is loaded with the same weight is fulfilled")
  func loaded() throws {
    let checkpoint = try checkpoint("Watercolor.safetensors", scale: 0.8)
    #expect(checkpoint.unusedTags(in: "a fox <lora:watercolor:0.8>").isEmpty)
    let other = checkpoint.unusedTags(in: "a fox <lora:watercolor:1>")
    #expect(other.first?.loadedWeight == 0.8)
    #expect(other.first?.message.contains("'watercolor' is loaded with weight 0.8") == true)
  }

  @Test("The tag is no part of what the text encoder reads")
  func tokens() throws {
    let encoder = try Checkpoint.starter64().textEncoders[0]
    func chunks(_ prompt: String) -> ChunkedPrompt {
      encoder.chunks(of: prompt, syntax: .weighted)
    }
    #expect(chunks("a fox <lora:watercolor:0.8>") == chunks("a fox"))
    #expect(chunks("(a <lora:x:1>fox:1.2)") == chunks("(a fox:1.2)"))
  }
}
