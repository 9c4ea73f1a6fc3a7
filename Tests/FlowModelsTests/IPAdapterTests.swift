import FlowCore
import FlowEngine
import FlowGraph
import FlowTestSupport
import Foundation
import Testing

@testable import FlowModels

/// IP-Adapters on whole tiny networks against diffusers.
///
/// Both sides compute in float32 and sum in different orders: 1e-5 of the 2-norm is asked for.
@Suite(.tags(.engine)) struct IPAdapterTests {
  private static let adapters = [
    ("plain", "sd15"), ("plus", "sd15"), ("full", "sd15"), ("plain", "sdxl"), ("plus", "sdxl"),
  ]
  /// Those that are run on whole networks, which read nothing else of them than their tables.
  private static let networks = [("plus", "sd15"), ("plain", "sdxl")]

  @Test(
    "Keys and values of images, and of the unconditional prediction, for each attention",
    arguments: adapters)
  func table(kind: String, network: String) async throws {
    let name = "ip-\(kind)-\(network)"
    let golden = try AdaptedNetwork.golden("\(name)-")
    let adapter = try Self.open(name, AdaptedNetwork("unet-\(network)"))
    let inputs = try await Self.inputs(adapter, golden)
    let table = try #require(inputs["reference.table"])
    expectClose(table, try golden.floats("table"), relativeTolerance: 1e-5)
    expectClose(table.row(3, of: 4), try golden.rows("table")[3], relativeTolerance: 1e-5)
  }

  private static func open(
    _ name: String, _ network: AdaptedNetwork, as adapter: String = "reference",
    encoder: String? = nil, isMasked: Bool = false
  ) throws -> IPAdapter {
    try IPAdapter.open(
      path: "\(AdaptedNetwork.folder)/\(name).safetensors", name: adapter,
      fitting: network.configuration, encoder: encoder, isMasked: isMasked)
  }

  /// What the adapter makes of the images of a golden file and, in a last row, of none.
  private static func inputs(
    _ adapter: IPAdapter, _ golden: Golden
  ) async throws -> [PortName: [Float]] {
    try await adapter.inputs(
      of: golden.rows("pixels") + [nil], size: PixelSize(width: 64, height: 64))
  }

  @Test(
    "Rows of different images and scales, one of scale 0 and one of the unconditional prediction",
    arguments: networks)
  func output(kind: String, network: String) async throws {
    let unet = try AdaptedNetwork("unet-\(network)")
    let golden = try AdaptedNetwork.golden("ip-\(kind)-\(network)-")
    let adapter = try Self.open("ip-\(kind)-\(network)", unet)
    let tables = try await Self.inputs(adapter, golden)
    let rows = try golden.floats("scales")
    func output(preset: String? = nil) async throws -> [Float] {
      let scales = try rows.flatMap {
        try adapter.scales($0, preset: preset, isUnconditional: false)
      }
      return try await unet.output(
        golden, adapters: [adapter], inputs: tables.merging(["reference.scales": scales]) { $1 })
    }
    let (plain, expected) = (try golden.floats("plain"), try golden.floats("output"))
    let whole = try await output()
    expectClose(whole, expected, relativeTolerance: 1e-5)
    #expect(rows[1] == 0)
    expectClose(whole.row(1, of: 4), plain.row(1, of: 4), relativeTolerance: 1e-5)
    for (preset, key) in [("style", "style"), ("layout", "layout"), ("style+layout", "both")] {
      #expect(try golden.floats(key) != expected)
      expectClose(
        try await output(preset: preset), try golden.floats(key), relativeTolerance: 1e-5)
    }
    let blocks: [String: Float] = ["mid_block": 0.3, "up_blocks.1": 1.2, "down_blocks.1": 0.7]
    let mixed = try rows.flatMap { scale in try adapter.scales(blocks.mapValues { $0 * scale }) }
    let output = try await unet.output(
      golden, adapters: [adapter], inputs: tables.merging(["reference.scales": mixed]) { $1 })
    expectClose(output, try golden.floats("mixed"), relativeTolerance: 1e-5)
  }

  @Test("A mask for each row, resized for each level; a white one changes nothing")
  func masks() async throws {
    let unet = try AdaptedNetwork("unet-sd15")
    let golden = try AdaptedNetwork.golden("masked-")
    let size = try AdaptedNetwork.size(golden)
    let adapter = try Self.open("ip-plus-sd15", unet, isMasked: true)
    var inputs = try await Self.inputs(adapter, golden)
    inputs.merge(adapter.scales(try golden.floats("scales"))) { $1 }
    let graph = try #require(try adapter.maskGraph(for: size))
    var masks: [Float] = []
    for mask in try golden.rows("masks") {
      masks += try #require(
        try await AdaptedNetwork.run(graph, [], ["mask": mask])["reference.mask"])
    }
    let output = try await unet.output(
      golden, adapters: [adapter], inputs: inputs.merging(["reference.mask": masks]) { $1 })
    expectClose(output, try golden.floats("output"), relativeTolerance: 1e-5)
    // The last row's mask is white.
    let ones = masks.map { _ in Float(1) }
    expectClose(masks.row(3, of: 4), ones.row(3, of: 4), tolerance: 1e-6)
    let unmasked = try Self.open("ip-plus-sd15", unet)
    #expect(try unmasked.maskGraph(for: size) == nil)
  }

  @Test("Two IP-Adapters and a T2I-Adapter share a network")
  func together() async throws {
    let unet = try AdaptedNetwork("unet-sd15")
    let golden = try AdaptedNetwork.golden("together-")
    let size = try AdaptedNetwork.size(golden)
    let references = [
      try Self.open("ip-plain-sd15", unet, as: "adapter0"),
      try Self.open("ip-plus-sd15", unet, as: "adapter1"),
    ]
    let control = try T2IAdapter.open(
      path: "\(AdaptedNetwork.folder)/t2i-light", name: "adapter2", fitting: unet.configuration)
    let scales = try golden.rows("scales")
    var inputs = try await control.inputs(of: golden.rows("controls"), size: size)
    inputs.merge(control.scales(scales.map { $0[2] })) { $1 }
    for (index, adapter) in references.enumerated() {
      inputs.merge(try await adapter.inputs(of: golden.rows("references"), size: size)) { $1 }
      inputs.merge(adapter.scales(scales.map { $0[index] })) { $1 }
    }
    let output = try await unet.output(
      golden, adapters: references + [control], inputs: inputs)
    expectClose(output, try golden.floats("output"), relativeTolerance: 1e-5)
  }

  @Test("Attentions are numbered as diffusers lists them: down, up, the middle last")
  func order() throws {
    let network = try UNetConfiguration(
      ConfigurationFile(path: "config.json", values: ["cross_attention_dim": .integer(768)]))
    let names = network.crossAttentions.map(\.name)
    #expect(names.count == 16)
    #expect(names[0] == "down_blocks.0.attentions.0.transformer_blocks.0.attn2")
    #expect(names[6] == "up_blocks.1.attentions.0.transformer_blocks.0.attn2")
    #expect(names[15] == "mid_block.attentions.0.transformer_blocks.0.attn2")
    #expect(IPAdapterFile.scope(of: 0) == "ip_adapter.1")
    #expect(IPAdapterFile.scope(of: 15) == "ip_adapter.31")
    let xl = try UNetConfiguration(
      ConfigurationFile(
        path: "config.json",
        values: [
          "block_out_channels": .list([.integer(320), .integer(640), .integer(1280)]),
          "down_block_types": .list(
            ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"].map { .text($0) }),
          "up_block_types": .list(
            ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"].map { .text($0) }),
          "attention_head_dim": .list([.integer(5), .integer(10), .integer(20)]),
          "transformer_layers_per_block": .list([.integer(1), .integer(2), .integer(10)]),
        ]))
    #expect(xl.crossAttentions.count == 70)
    #expect(xl.crossAttentions[23].name == "down_blocks.2.attentions.1.transformer_blocks.9.attn2")
    #expect(xl.crossAttentions[24].name == "up_blocks.0.attentions.0.transformer_blocks.0.attn2")
    #expect(IPAdapterFile.scope(of: 69) == "ip_adapter.139")
  }

  @Test("Weights in few bits make other programs")
  func compressed() throws {
    let network = try AdaptedNetwork("unet-sd15").configuration
    let path = "\(AdaptedNetwork.folder)/ip-plus-sd15.safetensors"
    let plain = try IPAdapter.open(path: path, name: "reference", fitting: network)
    let few = try IPAdapter.open(
      path: path, name: "reference", fitting: network, compression: .int8)
    for (one, other) in zip(plain.weightStores, few.weightStores) {
      #expect(one.identity != other.identity)
      #expect(Set(one.weights.keys) == Set(other.weights.keys))
    }
  }

  @Test("An image encoder is found beside the file, and one of another width is refused")
  func encoders() throws {
    let unet = try AdaptedNetwork("unet-sd15")
    func message(_ name: String, encoder: String) -> String {
      do {
        _ = try Self.open(name, unet, encoder: "\(AdaptedNetwork.folder)/\(encoder)")
        return ""
      } catch { return "\(error)" }
    }
    #expect(message("ip-plain-sd15", encoder: "image_encoder") == "")
    #expect(
      message("ip-plain-sd15", encoder: "image-encoder-wide").contains(
        "reads an image encoder 20 wide (projection_dim)"))
    #expect(
      message("ip-plus-sd15", encoder: "image-encoder-wide").contains(
        "reads an image encoder 16 wide (hidden_size)"))
    #expect(message("ip-plain-sd15", encoder: "none").contains("needs CLIP's image encoder"))
    // As the published repositories have it: models/x.safetensors and sdxl_models/y.safetensors.
    let folder = try TemporaryFolder()
    let manager = FileManager.default
    for name in ["models", "sdxl_models"] {
      try manager.createDirectory(
        atPath: "\(folder.path)/\(name)", withIntermediateDirectories: true)
    }
    try manager.copyItem(
      atPath: "\(AdaptedNetwork.folder)/image_encoder",
      toPath: "\(folder.path)/models/image_encoder")
    let file = "\(folder.path)/sdxl_models/ip.safetensors"
    try manager.copyItem(
      atPath: "\(AdaptedNetwork.folder)/ip-plain-sd15.safetensors", toPath: file)
    let adapter = try IPAdapter.open(
      path: file, name: "reference", fitting: unet.configuration)
    #expect(
      adapter.tokenCount == 4 && adapter.imageSize(for: .init(width: 8, height: 8)).width == 32)
  }

  @Test("Adapters of another network, of faces' embeddings, and other files are refused")
  func refused() throws {
    let (sd15, sdxl) = (try AdaptedNetwork("unet-sd15"), try AdaptedNetwork("unet-sdxl"))
    let folder = try TemporaryFolder()
    func message(
      _ network: AdaptedNetwork, changing change: ([String: Weight]) throws -> [String: Weight]
    ) throws -> String {
      let store = try WeightStore(file: "\(AdaptedNetwork.folder)/ip-plain-sd15.safetensors")
      let tensors = try change(store.weights).map {
        ($0.key, $0.value.shape.dimensions, try $0.value.floats())
      }
      let path = try folder.write(SafetensorsWriter.file(tensors), as: "adapter.safetensors")
      do {
        _ = try IPAdapter.open(
          path: path, name: "reference", fitting: network.configuration,
          encoder: "\(AdaptedNetwork.folder)/image_encoder")
        return ""
      } catch { return "\(error)" }
    }
    #expect(try message(sd15) { $0 } == "")
    #expect(
      try message(sdxl) { $0 }.contains(
        "'ip_adapter.5.to_k_ip.weight' is [8, 12], "
          + "'down_blocks.2.attentions.0.transformer_blocks.0.attn2' needs [16, 12]"))
    #expect(
      try message(sd15) { $0.filter { !$0.key.hasPrefix("ip_adapter.23.") } }
        .contains("is for 11 cross-attentions, the model's network has 12"))
    func projection(_ names: [String]) -> ([String: Weight]) -> [String: Weight] {
      { weights in
        names.reduce(into: weights.filter { !$0.key.hasPrefix("image_proj.") }) {
          $0["image_proj.\($1)"] = weights["image_proj.proj.weight"]
        }
      }
    }
    for names in [
      ["proj.0.weight", "proj.2.weight", "norm.weight"],
      ["perceiver_resampler.proj_in.weight", "proj.0.weight", "norm.weight"],
    ] { #expect(try message(sd15, changing: projection(names)).contains("FaceID kind")) }
    #expect(try message(sd15, changing: projection(["other"])).contains("no known IP-Adapter"))
    #expect(
      try message(sd15) { $0.filter { $0.key != "ip_adapter.9.to_v_ip.weight" } }
        .contains("ip_adapter.9.to_v_ip.weight"))
    #expect(
      try message(sd15) { weights in
        weights.merging(
          ["image_proj.more": weights["image_proj.norm.bias"]].compactMapValues { $0 }
        ) {
          $1
        }
      }.contains("image_proj.more"))
    let isFolder = #expect(throws: ModelError.self) {
      try IPAdapter.open(
        path: AdaptedNetwork.folder, name: "reference", fitting: sd15.configuration)
    }
    #expect(isFolder?.message.contains("is a folder") == true)
  }

  @Test("Presets and blocks that a network does not have are refused")
  func presets() throws {
    let unet = try AdaptedNetwork("unet-sd15")
    let adapter = try Self.open("ip-plain-sd15", unet)
    #expect(adapter.presets == ["all", "style", "layout", "style+layout"])
    let preset = #expect(throws: ModelError.self) {
      try adapter.scales(1, preset: "colour", isUnconditional: false)
    }
    #expect(preset?.message.contains("all, style, layout, style+layout") == true)
    let block = #expect(throws: ModelError.self) { try adapter.scales(["up_blocks.0": 1]) }
    #expect(
      block?.message.contains(
        "down_blocks.0, down_blocks.1, down_blocks.2, up_blocks.1, up_blocks.2, up_blocks.3, mid_block"
      ) == true)
    // The nearest block decides.
    let scales = try adapter.scales(["": 0.5, "up_blocks.1": 0.25, "up_blocks.1.attentions.1": 2])
    let names = unet.configuration.crossAttentions.map(\.name)
    for (name, scale) in zip(names, scales) {
      let expected: Float =
        name.hasPrefix("up_blocks.1.attentions.1.")
        ? 2 : name.hasPrefix("up_blocks.1.") ? 0.25 : 0.5
      #expect(scale == expected, "\(name)")
    }
  }
}
