import FlowCore
import FlowGraph
import FlowTestSupport
import Foundation
import Testing

@testable import FlowModels

/// LoRAs of FLUX in the names of every trainer, those of fused layers too.
@Suite(.tags(.engine)) struct FluxLoRATests {
  private let fixture: NetworkFixture

  init() throws { fixture = try NetworkFixture("flux-dev") }

  /// What the network gives of the first case with a file of changes.
  private func output(_ path: String, scale: Float = 1) async throws -> [Float] {
    var stores: [LoRA.Component: WeightStore] = [.network: fixture.store]
    let report = try LoRA(path: path).apply(
      scale: scale, to: &stores,
      names: [.network: LayerNames(fixture.store, parts: FluxNames.layer)])
    #expect(report.rest.isEmpty, "\(report.rest)")
    let store = try #require(stores[.network])
    let network = try FluxTransformerTests.network(of: store, fixture)
    return try await fixture.run(
      network.graph(fixture.shape(0)), of: store, fixture.inputs(0))
  }

  @Test(
    "Files of every trainer change the network as diffusers changes it",
    arguments: [
      ("kohya", "kohya"), ("diffusers", "kohya"), ("comfy", "comfy"), ("xlabs", "xlabs"),
    ])
  func golden(file: String, expected: String) async throws {
    let golden = try Golden("flux-dev/loras.safetensors", in: .module)
    let output = try await output(Bundle.module.fixture("flux-dev/lora-\(file).safetensors"))
    expectClose(output, try golden.floats(expected), relativeTolerance: 1e-4)
    let plain = try fixture.golden.floats("0.output")
    #expect(zip(output, plain).contains { abs($0 - $1) > 0.1 })
  }

  private typealias Tensor = (name: String, shape: [Int], scalars: [Float])

  private func expectSame(_ fused: [Tensor], _ apart: [Tensor]) async throws {
    let folder = try TemporaryFolder()
    let outputs = try await [fused, apart].enumerated().asyncMap { index, tensors in
      try await output(
        folder.write(SafetensorsWriter.file(tensors), as: "\(index).safetensors"), scale: 0.5)
    }
    expectClose(outputs[0], outputs[1], relativeTolerance: 1e-5)
    let plain = try fixture.golden.floats("0.output")
    #expect(zip(outputs[0], plain).contains { abs($0 - $1) > 0.01 })
  }

  private static func numbers(_ count: Int, seed: UInt64) -> [Float] {
    var noise = GaussianNoise(seed: seed)
    return noise.latents(shape: [count]).scalars.map { $0 * 0.3 }
  }

  @Test("A Kronecker product over a fused layer is split into its layers")
  func kronecker() async throws {
    let block = Self.numbers(32 * 32, seed: 1)
    let layers = ["to_q", "to_k", "to_v"].enumerated().map { index, name in
      (
        "transformer.transformer_blocks.0.attn.\(name).diff", [32, 32],
        block.map { $0 * Float(index + 1) }
      )
    }
    try await expectSame(
      [
        ("lycoris_double_blocks_0_img_attn_qkv.lokr_w1", [3, 1], [1, 2, 3]),
        ("lycoris_double_blocks_0_img_attn_qkv.lokr_w2", [32, 32], block),
      ], layers)
  }

  @Test("Shift and scale of the last layer change places, whatever the form")
  func lastLayer() async throws {
    let block = Self.numbers(32 * 32, seed: 2)
    try await expectSame(
      [
        ("lora_unet_final_layer_adaLN_modulation_1.lokr_w1", [2, 1], [1, -2]),
        ("lora_unet_final_layer_adaLN_modulation_1.lokr_w2", [32, 32], block),
        ("lora_unet_final_layer_adaLN_modulation_1.diff_b", [64], Array(block.prefix(64))),
      ],
      [
        ("transformer.norm_out.linear.diff", [64, 32], block.map { $0 * -2 } + block),
        (
          "transformer.norm_out.linear.diff_b", [64],
          Array(block[32..<64] + block[0..<32])
        ),
      ])
  }

  @Test("The lengths of a DoRA over a fused layer go with its outputs")
  func lengths() async throws {
    let (up, down) = (Self.numbers(96 * 2, seed: 3), Self.numbers(2 * 32, seed: 4))
    let lengths = Self.numbers(96, seed: 5).map { abs($0) + 0.5 }
    var apart: [Tensor] = []
    for (index, name) in ["add_q_proj", "add_k_proj", "add_v_proj"].enumerated() {
      let layer = "transformer.transformer_blocks.1.attn.\(name)"
      apart += [
        ("\(layer).lora_A.weight", [2, 32], down),
        ("\(layer).lora_B.weight", [32, 2], Array(up[index * 64..<(index + 1) * 64])),
        ("\(layer).dora_scale", [32, 1], Array(lengths[index * 32..<(index + 1) * 32])),
      ]
    }
    let layer = "lora_unet_double_blocks_1_txt_attn_qkv"
    let fused: [Tensor] = [
      ("\(layer).lora_down.weight", [2, 32], down), ("\(layer).lora_up.weight", [96, 2], up),
    ]
    try await expectSame(fused + [("\(layer).dora_scale", [96, 1], lengths)], apart)
    let folder = try TemporaryFolder()
    let path = try folder.write(
      SafetensorsWriter.file(
        fused + [("\(layer).dora_scale", [1, 32], Array(lengths.prefix(32)))]),
      as: "inputs.safetensors")
    let error = await #expect(throws: GraphError.self) { try await output(path) }
    #expect(error?.message.contains("96 outputs") == true)
  }

  @Test("Outputs that do not divide into a fused layer's parts are refused")
  func widths() async throws {
    let folder = try TemporaryFolder()
    let layer = "lora_unet_single_blocks_0_linear1"
    let path = try folder.write(
      SafetensorsWriter.file([
        ("\(layer).lora_down.weight", [1, 32], [Float](repeating: 1, count: 32)),
        ("\(layer).lora_up.weight", [96, 1], [Float](repeating: 1, count: 96)),
      ]), as: "narrow.safetensors")
    let error = await #expect(throws: GraphError.self) { try await output(path) }
    #expect(error?.message.contains("has 96 rows, expected a multiple of 7") == true)
  }

  @Test("A layer that FLUX has not is no layer of it")
  func names() {
    for name in [
      "double_blocks.0.img_attn.qkv.x", "single_blocks.0.linear3", "img_in.0", "double_blocks.x",
      "final_layer.adaLN_modulation.1.2", "input_blocks.1.0",
    ] { #expect(FluxNames.layer(name) == nil, "\(name)") }
    #expect(FluxNames.layer("img_in")?.layers == ["x_embedder"])
    #expect(
      FluxNames.layer("single_blocks_12_linear1")?.layers.last
        == "single_transformer_blocks.12.proj_mlp")
  }
}

extension Sequence {
  /// The results in sequence.
  fileprivate func asyncMap<Result>(
    _ transform: (Element) async throws -> Result
  ) async rethrows -> [Result] {
    var results: [Result] = []
    for element in self { results.append(try await transform(element)) }
    return results
  }
}
