import FlowCore
import FlowTestSupport
import Testing

@testable import FlowGraph

@Suite struct LoRANameTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func lora(
    _ tensors: [(name: String, shape: [Int], scalars: [Float])]
  ) throws -> LoRA {
    try LoRA(path: folder.write(SafetensorsWriter.file(tensors), as: "lora.safetensors"))
  }

  @Test(
    "Names of every tool are taken apart into network, layer and part",
    arguments: [
      ("lora_unet_mid_block_x.lora_down.weight", LoRA.Component.network, "mid_block_x", "down"),
      ("lora_te_text_model_q_proj.alpha", .textEncoder(0), "text_model_q_proj", "alpha"),
      ("lora_te2_text_model_q_proj.lora_up.weight", .textEncoder(1), "text_model_q_proj", "up"),
      ("unet.a.attn1.processor.to_q_lora.up.weight", .network, "a.attn1.to_q", "up"),
      ("unet.a.to_q.lora.down.weight", .network, "a.to_q", "down"),
      ("a.attn1.processor.to_out_lora.down.weight", .unnamed, "a.attn1.to_out", "down"),
      ("text_encoder.a.q_proj.lora_linear_layer.up.weight", .textEncoder(0), "a.q_proj", "up"),
      ("text_encoder_2.a.q_proj.lora_A.weight", .textEncoder(1), "a.q_proj", "down"),
      ("transformer.a.to_q.lora_B.default.weight", .network, "a.to_q", "up"),
      ("base_model.model.a.to_q.lora_A.default.weight", .unnamed, "a.to_q", "down"),
      ("diffusion_model.input_blocks.1.0.lora_A.weight", .network, "input_blocks.1.0", "down"),
      ("unet.a.to_q.lora_A.style.weight", .network, "a.to_q", "down"),
      ("unet.a.to_q.lora_B.my-style_2.bias", .network, "a.to_q", "biasUp"),
      ("unet.a.to_q.lora_down.default", .network, "a.to_q", "down"),
      ("base_model.model.a.lora_magnitude_vector.style.weight", .unnamed, "a", "outputMagnitude"),
      ("unet.a.lora_magnitude_vector", .network, "a", "outputMagnitude"),
      ("lora_unet_a.dora_scale", .network, "a", "magnitude"),
      ("lora_unet_a.hada_w1_b", .network, "a", "hadamard1B"),
      ("lora_unet_a.lokr_w2", .network, "a", "kronecker2"),
      ("lora_unet_a.diff_b", .network, "a", "biasDifference"),
      ("double_blocks.3.processor.qkv_lora2.up.weight", .unnamed, "double_blocks.3.qkv.2", "up"),
      ("single_blocks.3.processor.proj_lora.down.weight", .unnamed, "single_blocks.3.proj", "down"),
      (
        "lycoris_single_blocks_3_linear1.lokr_w1", .unnamed, "single_blocks_3_linear1", "kronecker1"
      ),
    ])
  func names(name: String, component: LoRA.Component, layer: String, part: String) {
    let parsed = LoRAName(name)
    #expect(parsed?.component == component && parsed?.layer == layer)
    #expect(parsed?.part.rawValue == part)
  }

  @Test(
    "Other names are none",
    arguments: ["conv_in.weight", "lora_unet_a.oft_blocks", ".alpha", ""])
  func others(name: String) { #expect(LoRAName(name) == nil) }

  @Test("Half a pair, and an alpha that is NaN or infinite, stay unused")
  func halves() throws {
    let lora = try lora([
      ("lora_unet_a.lora_down.weight", [2, 4], [Float](repeating: 1, count: 8)),
      ("lora_unet_b.lora_down.weight", [2, 4], [Float](repeating: 1, count: 8)),
      ("lora_unet_b.lora_up.weight", [4, 2], [Float](repeating: 1, count: 8)),
      ("lora_unet_b.alpha", [2], [1, 2]), ("lora_unet_c.lokr_w1", [2, 2], [1, 2, 3, 4]),
    ])
    #expect(lora.modules.map(\.layer) == ["b"] && lora.modules[0].rank == 2)
    #expect(
      lora.unknownTensors == [
        "lora_unet_a.lora_down.weight", "lora_unet_b.alpha", "lora_unet_c.lokr_w1",
      ])
    #expect(lora.tensorCount == 5)
  }

  @Test("Modules of rank 0 change nothing and are left out")
  func rankZero() throws {
    let lora = try lora([
      ("unet.a.lora_A.weight", [0, 4], []), ("unet.a.lora_B.weight", [4, 0], []),
      ("unet.a.alpha", [], [1]), ("unet.b.lora_A.weight", [1, 4], [1, 2, 3, 4]),
      ("unet.b.lora_B.weight", [4, 1], [1, 2, 3, 4]),
    ])
    #expect(lora.modules.map(\.layer) == ["b"] && lora.emptyModuleCount == 1)
    #expect(lora.tensorCount == 2 && lora.unknownTensors.isEmpty)
  }

  @Test("The adapter's name is known; a file of several adapters is refused with their names")
  func adapters() throws {
    let style: [(name: String, shape: [Int], scalars: [Float])] = [
      ("unet.a.lora_A.style.weight", [1, 1], [1]), ("unet.a.lora_B.style.weight", [1, 1], [1]),
    ]
    #expect(try lora(style).adapter == "style" && lora(style).modules.count == 1)
    let error = #expect(throws: GraphError.self) {
      try lora(style + [("unet.a.lora_A.line.weight", [1, 1], [1])])
    }
    #expect(error?.message.contains("holds 2 adapters ('line', 'style'), expected one") == true)
  }

  @Test("PEFT's settings beside its file give the strength")
  func settings() throws {
    let path = try folder.write(
      SafetensorsWriter.file([
        ("base_model.model.a.lora_A.weight", [2, 1], [1, 1]),
        ("base_model.model.a.lora_B.weight", [1, 2], [1, 1]),
      ]), as: "adapter_model.safetensors")
    #expect(try LoRA(path: path).modules[0].weight?.strength == 1)
    _ = try folder.write(
      Array(#"{"r":2,"lora_alpha":8,"peft_type":"LORA","target_modules":["a"],"bias":null}"#.utf8),
      as: "adapter_config.json")
    #expect(try LoRA(path: path).modules[0].weight?.strength == 4)
  }

  @Test("One tensor under two names is one too many, and reported")
  func twice() throws {
    let lora = try lora([
      ("unet.a.lora.down.weight", [1, 1], [1]), ("unet.a.lora_A.weight", [1, 1], [1]),
      ("unet.a.lora.up.weight", [1, 1], [1]),
    ])
    #expect(lora.modules.count == 1 && lora.unknownTensors == ["unet.a.lora_A.weight"])
  }

  @Test("Rows, other shapes and exchanged axes of a tensor are views of the file")
  func views() throws {
    let path = try folder.write(
      SafetensorsWriter.file([("a", [3, 2, 1], [0, 1, 2, 3, 4, 5])]), as: "a.safetensors")
    let weight = try #require(try WeightStore(file: path).weights["a"])
    let flat = try weight.reshaped([3, 2])
    #expect(try flat.rows(1..<3).floats() == [2, 3, 4, 5])
    #expect(try flat.transposed().floats() == [0, 2, 4, 1, 3, 5])
    #expect(try flat.transposed().transposed().floats() == [0, 1, 2, 3, 4, 5])
    #expect(throws: GraphError.self) { try flat.rows(2..<4) }
    #expect(throws: GraphError.self) { try weight.reshaped([7]) }
    #expect(throws: GraphError.self) { try weight.transposed() }
  }

  @Test("Every truncation of a file is refused, and no flipped bit crashes")
  func damage() throws {
    let whole = SafetensorsWriter.file([
      ("unet.a.lora_A.weight", [1, 2], [1, 2]), ("unet.a.lora_B.weight", [2, 1], [3, 4]),
      ("unet.a.alpha", [], [1]),
    ])
    let base = SafetensorsWriter.file([("a.weight", [2, 2], [1, 2, 3, 4])])
    let store = try WeightStore(file: folder.write(base, as: "base.safetensors"))
    let names: [LoRA.Component: LayerNames] = [.network: LayerNames(store)]
    for bit in 0..<whole.count * 8 {
      var bytes = whole
      bytes[bit / 8] ^= 1 << (bit % 8)
      let path = try folder.write(bytes, as: "flipped.safetensors")
      guard let lora = try? LoRA(path: path) else { continue }
      var stores: [LoRA.Component: WeightStore] = [.network: store]
      _ = try? lora.apply(scale: 1, to: &stores, names: names)
    }
  }
}
