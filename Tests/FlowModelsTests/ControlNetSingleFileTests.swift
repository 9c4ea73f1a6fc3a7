import FlowCore
import FlowGraph
import FlowTestSupport
import Foundation
import Testing

@testable import FlowModels

/// ControlNets of Stable Diffusion in one file, by the names and shapes that diffusers knows.
@Suite struct ControlNetSingleFileTests {
  /// A ControlNet's configuration, and its weights by their original names.
  private struct Entry {
    let values: [String: ConfigurationFile.Value]
    let current: [String: String]
    let shapes: [String: Shape]

    init(_ name: String) throws {
      struct File: Decodable {
        let config: [String: ConfigurationFile.Value]
        let weights: [String: Pair]
      }
      struct Pair: Decodable {
        let name: String
        let shape: [Int]

        init(from decoder: any Decoder) throws {
          var container = try decoder.unkeyedContainer()
          name = try container.decode(String.self)
          shape = try container.decode([Int].self)
        }
      }
      let path = Bundle.module.fixture("controlnet-files.json")
      let files = try JSONDecoder().decode(
        [String: File].self, from: Data(contentsOf: URL(filePath: path)))
      let file = try #require(files[name])
      values = file.config
      current = file.weights.mapValues(\.name)
      shapes = Dictionary(
        uniqueKeysWithValues: file.weights.values.map { ($0.name, Shape($0.shape)) })
    }

    func configuration() throws -> UNetControlNetConfiguration {
      try UNetControlNetConfiguration(ConfigurationFile(path: "config.json", values: values))
    }

    /// The network that it is for, as far as it tells.
    func network() throws -> ControlNet.Network { .unet(try configuration().unet) }

    /// A file of it, under the names that are given.
    func bytes(_ rename: (_ original: String, _ current: String) -> String) -> [UInt8] {
      SafetensorsWriter.file(
        current.sorted { $0.key < $1.key }.map { original, name in
          let shape = shapes[name] ?? []
          let first = name.utf8.reduce(0) { ($0 &* 31 &+ Int($1)) % 1009 }
          return (
            rename(original, name), shape.dimensions,
            (0..<shape.elementCount).map { Float((first + $0) % 13) }
          )
        })
    }
  }

  private static func context(_ path: String) -> ControlNetContext {
    ControlNetContext(path: path, name: "adapter0", factor: 8, options: ControlNet.Options())
  }

  @Test(
    "The shapes say the configuration, and no weight is unknown or missing",
    arguments: ["published", "sd1", "sdxl", "small"])
  func shapes(name: String) throws {
    let entry = try Entry(name)
    var values = UNetControlNetConfiguration.values(of: entry.shapes)
    if name == "small" { values["cross_attention_dim"] = entry.values["cross_attention_dim"] }
    let configuration = try UNetControlNetConfiguration(
      ConfigurationFile(path: "file.safetensors", values: values))
    #expect(try configuration == entry.configuration())
    #expect(configuration.weightNames == Set(entry.shapes.keys))
    if name == "published" {
      #expect(entry.shapes.count == 340 && configuration.skipCount == 12)
      #expect(entry.shapes.values.reduce(0) { $0 + $1.elementCount } == 361_279_120)
    }
  }

  @Test("The original names are those that diffusers converts", arguments: ["published", "sd1"])
  func originalNames(name: String) throws {
    let entry = try Entry(name)
    let names = ControlNetNames(entry.current.keys)
    for (original, current) in entry.current { #expect(names.current(original) == current) }
    for strange in [
      "zero_convs.0.1.weight", "input_hint_block.3.weight", "output_blocks.0.0.in_layers.0.weight",
      "out.2.weight", "middle_block_out.1.weight", "lora.weight",
    ] { #expect(names.current(strange) == nil, "\(strange)") }
  }

  @Test(
    "A file in the original names, with a prefix or without, is that in diffusers', bit for bit")
  func original() throws {
    let entry = try Entry("sd1")
    let folder = try TemporaryFolder()
    let files = [
      try folder.write(entry.bytes { _, name in name }, as: "diffusers.safetensors"),
      try folder.write(entry.bytes { name, _ in name }, as: "plain.safetensors"),
      try folder.write(entry.bytes { name, _ in "control_model.\(name)" }, as: "whole.safetensors"),
    ]
    let stores = try files.map { path in
      #expect(try AdapterFile(path: path).recognizedKind() == .controlNet)
      let file = try ControlNetFile(path: path, variant: nil)
      let adapter = try ControlNet.open(file, fitting: entry.network(), Self.context(path))
      return try #require(adapter.weightStores.first)
    }
    #expect(stores[0].weights.count == entry.shapes.count)
    for store in stores.dropFirst() {
      #expect(store.weights.keys == stores[0].weights.keys)
      for (name, weight) in store.weights {
        #expect(try weight.floats() == stores[0].weights[name]?.floats(), "\(name)")
      }
    }
  }

  @Test("A configuration beside a file is read, unless it is of something else")
  func beside() throws {
    let entry = try Entry("sd1")
    let folder = try TemporaryFolder()
    let path = try folder.write(entry.bytes { _, name in name }, as: "control.safetensors")
    #expect(try ControlNetFile(path: path, variant: nil).configuration.path == path)
    let beside = try folder.write(
      Array(#"{"_class_name": "UNet2DConditionModel"}"#.utf8), as: "config.json")
    #expect(try ControlNetFile(path: path, variant: nil).configuration.path == path)
    _ = try folder.write(Array(#"{"_class_name": "ControlNetModel"}"#.utf8), as: "config.json")
    #expect(try ControlNetFile(path: path, variant: nil).configuration.path == beside)
  }

  @Test("A file that is not a ControlNet is rejected with the known layouts")
  func refused() throws {
    let entry = try Entry("sd1")
    let folder = try TemporaryFolder()
    func message(_ path: String) -> String? {
      let error = #expect(throws: (any Error).self) {
        try ControlNet.open(
          ControlNetFile(path: path, variant: nil), fitting: entry.network(), Self.context(path))
      }
      return error.map { "\($0)" }
    }
    #expect(message("\(folder.path)/nowhere")?.contains("does not exist") == true)
    let other = try folder.write(
      SafetensorsWriter.file([("lora_up.weight", [1], [0])]), as: "lora.safetensors")
    #expect(message(other)?.contains("is not a ControlNet") == true)
    let transformer = try folder.write(
      SafetensorsWriter.file([
        ("time_text_embed.timestep_embedder.linear_1.weight", [1], [0])
      ]), as: "flux.safetensors")
    #expect(message(transformer)?.contains("give the folder") == true)
    let strange = try folder.write(
      entry.bytes { name, _ in name == "zero_convs.0.0.bias" ? "zero_convs.0.1.bias" : name },
      as: "strange.safetensors")
    #expect(message(strange)?.contains("'zero_convs.0.1.bias'") == true)
    let short = try folder.write(
      entry.bytes { name, _ in
        name == "zero_convs.0.0.bias" ? "zero_convs.99.0.bias" : name
      }, as: "short.safetensors")
    #expect(message(short)?.contains("controlnet_down_blocks.0.bias") == true)
  }

  @Test("A model of another family is refused, and a model of other widths")
  func families() throws {
    let folder = Bundle.module.fixture("controlnet-sd15")
    let starter = try Checkpoint.starter64()
    let error = #expect(throws: ModelError.self) {
      try ControlNet.open(
        path: folder, name: "adapter0", for: starter.family, factor: starter.autoencoder.factor)
    }
    #expect(error?.message.contains("it is for another kind of model") == true)
  }
}
