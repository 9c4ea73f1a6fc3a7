import FlowCore
import FlowGraph
import FlowTestSupport
import Foundation
import Testing

@testable import FlowModels

/// What ControlNets' files and folders are read as, and what is refused.
@Suite struct ControlNetFileTests {
  private static func open(
    _ values: [String: ConfigurationFile.Value], of name: String,
    for network: String? = nil, options: ControlNet.Options = ControlNet.Options(), factor: Int = 8,
    renaming rename: (String) -> String? = { $0 }
  ) throws -> any ImageAdapter {
    let folder = Bundle.module.fixture(name)
    let own = try ControlNetFile(path: folder, variant: nil)
    let file = own.configuration
    let all = Dictionary(uniqueKeysWithValues: file.keys.map { ($0, file[$0] ?? .null) })
      .merging(values) { _, new in new }
    return try ControlNet.open(
      ControlNetFile(
        ConfigurationFile(path: file.path, values: all), own.weights.renamed(rename)),
      fitting: ControlNetFixture(network ?? name).network,
      ControlNetContext(path: folder, name: "adapter0", factor: factor, options: options))
  }

  @Test(
    "What no graph is written for is refused by its name",
    arguments: [
      ("controlnet-sd15", "_class_name", .text("ControlNetUnionModel")),
      ("controlnet-sd15", "_class_name", .text("SD3ControlNetModel")),
      ("controlnet-sd15", "conditioning_channels", .integer(1)),
      ("controlnet-sd15", "controlnet_conditioning_channel_order", .text("gbr")),
      ("controlnet-sd15", "mid_block_type", .text("UNetMidBlock2DSimpleCrossAttn")),
      ("controlnet-sd15", "class_embed_type", .text("timestep")),
      ("controlnet-sd15", "num_control_type", .integer(6)),
      ("controlnet-sd3", "_class_name", .text("ControlNetModel")),
      ("controlnet-sd3", "extra_conditioning_channels", .integer(1)),
      ("controlnet-sd3", "use_pos_embed", .bool(false)),
      ("controlnet-sd3", "pos_embed_type", .null),
      ("controlnet-sd35-large", "use_pos_embed", .null),
      ("controlnet-flux", "_class_name", .text("FluxMultiControlNetModel")),
      ("controlnet-flux", "patch_size", .integer(2)),
      ("controlnet-flux-pixels", "patch_size", .integer(4)),
      ("controlnet-flux", "extra", .integer(2)),
    ] as [(String, String, ConfigurationFile.Value)])
  func unsupported(name: String, key: String, value: ConfigurationFile.Value) throws {
    let error = #expect(throws: ModelError.self) { try Self.open([key: value], of: name) }
    #expect(error?.code == .unsupported)
    let message = error?.message ?? ""
    #expect(
      message.contains(key) || message.contains("conditioning_embedding_channels"), "\(message)")
  }

  @Test(
    "A ControlNet for another kind of model is refused, and what tells them apart is named",
    arguments: [
      ("controlnet-sd21", "controlnet-sd15", "block_out_channels", "[8, 12, 12]"),
      ("controlnet-sd15", "controlnet-sdxl", "projection_class_embeddings_input_dim", "6"),
      ("controlnet-sdxl", "controlnet-sd15", "projection_class_embeddings_input_dim", "0"),
      ("controlnet-flux-pixels", "controlnet-flux", "in_channels", "4"),
    ])
  func unfitting(name: String, network: String, key: String, expected: String) throws {
    let error = #expect(throws: ModelError.self) { try Self.open([:], of: name, for: network) }
    #expect(error?.code == .fileInvalid)
    #expect(
      error?.message.contains("(\(key)), the model's \(expected);") == true,
      "\(error?.message ?? "")")
  }

  @Test(
    "Widths that are another model's are refused",
    arguments: [
      ("controlnet-sd15", "cross_attention_dim", 24), ("controlnet-sd15", "in_channels", 9),
      ("controlnet-sd15", "layers_per_block", 2), ("controlnet-sd3", "patch_size", 4),
      ("controlnet-sd3", "pooled_projection_dim", 7), ("controlnet-sd3", "joint_attention_dim", 7),
      ("controlnet-sd3", "num_layers", 9), ("controlnet-flux", "pooled_projection_dim", 7),
      ("controlnet-flux", "num_layers", 9), ("controlnet-flux", "num_single_layers", 9),
    ])
  func widths(name: String, key: String, value: Int) throws {
    let error = #expect(throws: ModelError.self) { try Self.open([key: .integer(value)], of: name) }
    #expect(error?.code == .fileInvalid)
    #expect(error?.message.contains("(\(key))") == true, "\(error?.message ?? "")")
  }

  @Test("A ControlNet that reads the guidance scale is refused by a model that does not")
  func guidance() throws {
    let error = #expect(throws: ModelError.self) {
      try Self.open(
        ["guidance_embeds": .bool(true)], of: "controlnet-flux-union",
        options: ControlNet.Options(mode: 0))
    }
    #expect(error?.message.contains("guidance_embeds") == true)
  }

  @Test("An autoencoder of another factor is refused")
  func factor() throws {
    let error = #expect(throws: ModelError.self) {
      try Self.open([:], of: "controlnet-sd15", factor: 16)
    }
    #expect(error?.message.contains("8 (conditioning_embedding_out_channels)") == true)
  }

  @Test("A union needs a mode that it has; others take none, and transformers no guess mode")
  func modes() throws {
    func message(_ name: String, _ options: ControlNet.Options) -> String? {
      #expect(throws: ModelError.self) { try Self.open([:], of: name, options: options) }?.message
    }
    let union = "controlnet-flux-union"
    #expect(message(union, .init())?.contains("needs a mode of 0 to 3, got none") == true)
    #expect(message(union, .init(mode: 4))?.contains("got 4") == true)
    #expect(try Self.open([:], of: union, options: .init(mode: 3)).scaleCount == 1)
    for name in ["controlnet-flux", "controlnet-sd3", "controlnet-sd15"] {
      #expect(message(name, .init(mode: 0))?.contains("mode 0 was given") == true)
    }
    for name in ["controlnet-flux", "controlnet-sd3"] {
      #expect(message(name, .init(guesses: true))?.contains("guess mode") == true)
    }
  }

  @Test(
    "A weight that nothing reads is refused, and one that is missing",
    arguments: [
      ("controlnet-sd15", "controlnet_down_blocks.2.bias"),
      ("controlnet-sd15", "down_blocks.1.resnets.0.conv_shortcut.weight"),
      ("controlnet-sdxl", "add_embedding.linear_2.bias"),
      ("controlnet-sd3", "controlnet_blocks.1.bias"),
      ("controlnet-sd3", "pos_embed_input.proj.bias"),
      ("controlnet-sd35-large", "transformer_blocks.0.ff.net.2.bias"),
      ("controlnet-flux", "controlnet_single_blocks.0.bias"),
      ("controlnet-flux-pixels", "input_hint_block.blocks.3.bias"),
    ])
  func strangeWeights(name: String, weight: String) throws {
    var error = #expect(throws: GraphError.self) {
      try Self.open([:], of: name) { $0 == weight ? nil : $0 }
    }
    #expect(error?.code == .weightMissing)
    #expect(error?.message.contains("'\(weight)'") == true, "\(error?.message ?? "")")
    // The embedding of a union's modes is a weight of its own.
    let strange = "controlnet_mode_embedder.bias"
    let own = try ControlNetFile(path: Bundle.module.fixture(name), variant: nil)
    let folder = try TemporaryFolder()
    let other = try WeightStore(
      file: folder.write(SafetensorsWriter.file([(strange, [1], [0])]), as: "strange.safetensors"))
    error = #expect(throws: GraphError.self) {
      try ControlNet.open(
        ControlNetFile(own.configuration, own.weights.merging(other)),
        fitting: ControlNetFixture(name).network, ControlNetFixture.context(name))
    }
    #expect(error?.code == .weightsInvalid)
    #expect(error?.message.contains("'\(strange)'") == true, "\(error?.message ?? "")")
  }

  @Test(
    "Engines hold weights as they are asked to", arguments: ["controlnet-sd15", "controlnet-flux"])
  func compression(name: String) throws {
    let plain = try #require(Self.open([:], of: name).weightStores.first)
    let packed = try #require(
      Self.open([:], of: name, options: .init(compression: .int8)).weightStores.first)
    #expect(plain.compressionForm == nil && packed.compressionForm == .int8)
    #expect(plain.identity != packed.identity)
    #expect(plain.weights.keys == packed.weights.keys)
    #expect(plain.weights.keys.allSatisfy { $0.hasPrefix("adapter0.") })
  }

  @Test("Scales are a row's: one for each layer, zeros where the row is not controlled")
  func scales() throws {
    let plain = try Self.open([:], of: "controlnet-sd15")
    #expect(plain.scales(0.7, isUnconditional: false) == [Float](repeating: 0.7, count: 7))
    #expect(
      plain.scales(0.7, isUnconditional: true) == plain.scales(0.7, isUnconditional: false))
    let guessing = try Self.open([:], of: "controlnet-sd15", options: .init(guesses: true))
    // torch.logspace(-1, 0, 7) * 0.5
    expectClose(
      guessing.scales(0.5, isUnconditional: false),
      [0.05, 0.07338996, 0.10772173, 0.1581139, 0.2320794, 0.3406461, 0.5], tolerance: 1e-6)
    #expect(guessing.scales(1, isUnconditional: true) == [Float](repeating: 0, count: 7))
    let pooled = try Self.open([:], of: "controlnet-sd21")
    #expect(pooled.scales(1, isUnconditional: true).allSatisfy { $0 == 0 })
    #expect(pooled.scales(1, isUnconditional: false).allSatisfy { $0 == 1 })
    #expect(try Self.open([:], of: "controlnet-flux").scales(0.3, isUnconditional: true) == [0.3])
    #expect(try Self.open([:], of: "controlnet-sd3").imageSpace == .latents(isShifted: false))
    #expect(try Self.open([:], of: "controlnet-sd35").imageSpace == .latents(isShifted: true))
    #expect(try Self.open([:], of: "controlnet-flux").imageSpace == .latents(isShifted: true))
    #expect(plain.imageSpace == .pixels)
  }
}
