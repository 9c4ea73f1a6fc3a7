import FlowCore
import FlowGraph
import FlowTestSupport
import Foundation
import Testing

@testable import FlowModels

/// ControlNets of FLUX.1 and Stable Diffusion 3 in one file without a configuration, by the names
/// and shapes that diffusers knows.
///
/// The names of XLabs are those of its own code, whose outputs are diffusers' with the same weights.
@Suite struct ControlNetTransformerFileTests {
  private struct Entry: Decodable {
    let config: [String: ConfigurationFile.Value]
    let shapes: [String: [Int]]
    /// The weights in diffusers' names that each one in XLabs' names contains, one below the other.
    let original: [String: [String]]?

    static func named(_ name: String) throws -> Entry {
      let path = Bundle.module.fixture("controlnet-transformer-files.json")
      let entries = try JSONDecoder().decode(
        [String: Entry].self, from: Data(contentsOf: URL(filePath: path)))
      return try #require(entries[name])
    }

    var configuration: ConfigurationFile { ConfigurationFile(path: "config.json", values: config) }

    private func scalars(_ name: String) -> [Float] {
      let first = name.utf8.reduce(0) { ($0 &* 31 &+ Int($1)) % 1009 }
      let count = shapes[name, default: []].reduce(1, *)
      return (0..<count).map { Float((first &+ $0) % 1021) }
    }

    /// A file in diffusers' names.
    func file() -> [UInt8] {
      SafetensorsWriter.file(
        shapes.sorted { $0.key < $1.key }.map { ($0.key, $0.value, scalars($0.key)) })
    }

    /// A file in XLabs' names.
    func originalFile(_ rename: (String) -> String = { $0 }) throws -> [UInt8] {
      SafetensorsWriter.file(
        try #require(original).sorted { $0.key < $1.key }.map { name, parts in
          var shape = shapes[parts[0], default: []]
          shape[0] *= parts.count
          return (rename(name), shape, parts.flatMap(scalars))
        })
    }
  }

  private static func open(_ path: String, fitting entry: Entry) throws -> any ImageAdapter {
    let isFlux = entry.config["_class_name"] == .text("FluxControlNetModel")
    // The network that it is for, as far as it tells.
    let network: ControlNet.Network =
      isFlux
      ? .flux(try FluxControlNetConfiguration(entry.configuration).transformer)
      : .sd3(try SD3ControlNetConfiguration(entry.configuration).transformer)
    #expect(try AdapterFile(path: path).recognizedKind() == .controlNet)
    let mode = entry.configuration["num_mode"] == nil ? nil : 0
    return try ControlNet.open(
      ControlNetFile(path: path, variant: nil), fitting: network,
      ControlNetContext(
        path: path, name: "adapter0", factor: 8, options: ControlNet.Options(mode: mode)))
  }

  @Test(
    "The shapes show the configuration",
    arguments: ["xlabs", "xlabs_small", "flux", "flux_union"])
  func fluxShapes(name: String) throws {
    let entry = try Entry.named(name)
    let values = FluxControlNetConfiguration.values(of: entry.shapes.mapValues { Shape($0) })
    let configuration = try FluxControlNetConfiguration(
      ConfigurationFile(path: "file.safetensors", values: values))
    #expect(try configuration == FluxControlNetConfiguration(entry.configuration))
    #expect(configuration.weightNames == Set(entry.shapes.keys))
  }

  @Test("The shapes show the configuration", arguments: ["sd3", "sd35_medium", "sd35_large"])
  func sd3Shapes(name: String) throws {
    let entry = try Entry.named(name)
    let values = SD3ControlNetConfiguration.values(of: entry.shapes.mapValues { Shape($0) })
    let configuration = try SD3ControlNetConfiguration(
      ConfigurationFile(path: "file.safetensors", values: values))
    #expect(try configuration == SD3ControlNetConfiguration(entry.configuration))
    #expect(configuration.weightNames == Set(entry.shapes.keys))
  }

  @Test(
    "A file in diffusers' names is opened without a configuration",
    arguments: ["flux", "flux_union", "sd3", "sd35_medium", "sd35_large"])
  func current(name: String) throws {
    let entry = try Entry.named(name)
    let folder = try TemporaryFolder()
    let adapter = try Self.open(
      folder.write(entry.file(), as: "control.safetensors"), fitting: entry)
    #expect(adapter.weightStores.first?.weights.count == entry.shapes.count)
  }

  @Test("A file in XLabs' names is that in diffusers', bit for bit")
  func original() throws {
    let entry = try Entry.named("xlabs_small")
    let folder = try TemporaryFolder()
    let stores = try [
      folder.write(entry.file(), as: "diffusers.safetensors"),
      folder.write(entry.originalFile(), as: "xlabs.safetensors"),
    ].map { try #require(Self.open($0, fitting: entry).weightStores.first) }
    #expect(stores[0].weights.count == entry.shapes.count)
    #expect(stores[0].weights.keys == stores[1].weights.keys)
    for (name, weight) in stores[0].weights {
      #expect(try weight.floats() == stores[1].weights[name]?.floats(), "\(name)")
    }
  }

  @Test("An unknown weight and an unknown layout are rejected by name")
  func refused() throws {
    let entry = try Entry.named("xlabs_small")
    let folder = try TemporaryFolder()
    func message(renaming old: String, to new: String) throws -> String {
      let bytes = try entry.originalFile { $0 == old ? new : $0 }
      let path = try folder.write(bytes, as: "strange.safetensors")
      let error = #expect(throws: (any Error).self) { try Self.open(path, fitting: entry) }
      return error.map { "\($0)" } ?? ""
    }
    for strange in ["input_hint_block.1.bias", "input_hint_block.16.bias", "final_layer.strange"] {
      let message = try message(renaming: "input_hint_block.14.bias", to: strange)
      #expect(message.contains("'\(strange)'"), "\(message)")
    }
    let missing = try message(renaming: "pos_embed_input.bias", to: "img_in.bias2")
    #expect(missing.contains("'img_in.bias2'"), "\(missing)")
    let mistoLine = try message(
      renaming: "controlnet_blocks.0.weight", to: "controlnet_blocks.0.linear.weight")
    #expect(mistoLine.contains("not a ControlNet of a known layout"), "\(mistoLine)")
  }
}
