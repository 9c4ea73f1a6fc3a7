import FlowCore
import FlowEngine
import FlowGraph
import FlowTestSupport
import Foundation
import Testing

@testable import FlowModels

/// T2I-Adapters on whole tiny networks against diffusers.
///
/// Both sides compute in float32 and sum in different orders: 1e-5 of the 2-norm is asked for.
@Suite(.tags(.engine)) struct T2IAdapterTests {
  private static let adapters = [
    ("t2i-full", "unet-sd15"), ("t2i-gray", "unet-sd15"), ("t2i-light", "unet-sd15"),
    ("t2i-xl", "unet-sdxl"), ("t2i-xl-gray", "unet-sdxl"),
  ]

  @Test("Rows of different images and scales, an odd size, and one of scale 0", arguments: adapters)
  func output(name: String, network: String) async throws {
    let unet = try AdaptedNetwork(network)
    let golden = try AdaptedNetwork.golden("\(name)/")
    let adapter = try T2IAdapter.open(
      path: "\(AdaptedNetwork.folder)/\(name)", name: "control", fitting: unet.configuration)
    let size = try AdaptedNetwork.size(golden)
    var inputs = try await adapter.inputs(of: golden.rows("pixels"), size: size)
    for stage in adapter.configuration.channels.indices {
      let features = try #require(inputs[PortName("control.features\(stage)")])
      expectClose(features, try golden.floats("features\(stage)"), relativeTolerance: 1e-5)
    }
    inputs.merge(adapter.scales(try golden.floats("scales"))) { $1 }
    let output = try await unet.output(golden, adapters: [adapter], inputs: inputs)
    let expected = try golden.floats("output")
    expectClose(output, expected, relativeTolerance: 1e-5)
    // The row of scale 0 is the network without its adapter, the others are not.
    let plain = try golden.floats("plain")
    expectClose(output.row(1, of: 3), plain.row(1, of: 3), relativeTolerance: 1e-5)
    for row in [0, 2] {
      let distance = zip(expected.row(row, of: 3), plain.row(row, of: 3)).reduce(0) {
        max($0, abs($1.0 - $1.1))
      }
      #expect(distance > 0.01)
    }
  }

  @Test(
    "Files in the original repository's names are the same adapters",
    arguments: [
      ("t2i-full", "unet-sd15"), ("t2i-light", "unet-sd15"), ("t2i-xl-gray", "unet-sdxl"),
    ])
  func original(name: String, network: String) async throws {
    let unet = try AdaptedNetwork(network).configuration
    let folder = try T2IAdapter.open(
      path: "\(AdaptedNetwork.folder)/\(name)", name: "control", fitting: unet)
    let file = try T2IAdapter.open(
      path: "\(AdaptedNetwork.folder)/\(name)-original.safetensors", name: "control",
      fitting: unet)
    #expect(file.configuration == folder.configuration)
    #expect(Set(file.weights.weights.keys) == Set(folder.weights.weights.keys))
    for (key, weight) in folder.weights.weights {
      #expect(try file.weights.weights[key]?.floats() == weight.floats(), "\(key)")
    }
    // A folder's file alone, as people download it.
    let alone = try TemporaryFolder()
    let copy = "\(alone.path)/adapter.safetensors"
    try FileManager.default.copyItem(
      atPath: "\(AdaptedNetwork.folder)/\(name)/diffusion_pytorch_model.safetensors", toPath: copy)
    let read = try T2IAdapter.open(path: copy, name: "control", fitting: unet)
    #expect(read.configuration == folder.configuration)
  }

  @Test("What fits another network, or is no T2I-Adapter, is refused by its reason")
  func refused() throws {
    let (sd15, sdxl) = (
      try AdaptedNetwork("unet-sd15").configuration, try AdaptedNetwork("unet-sdxl").configuration
    )
    func message(_ path: String, _ network: UNetConfiguration, factor: Int = 8) -> String {
      do {
        _ = try T2IAdapter.open(
          path: "\(AdaptedNetwork.folder)/\(path)", name: "control", fitting: network,
          factor: factor)
        return ""
      } catch { return "\(error)" }
    }
    #expect(message("t2i-full", sdxl).contains("4 stages (full_adapter) for 4 levels"))
    #expect(message("t2i-xl", sd15).contains("for 3 levels of a network, the model's has 4"))
    #expect(
      message("t2i-full", sd15, factor: 16).contains(
        "stage 0 of the T2I-Adapter gives 8 channels at 1/8 of the image, the model's network has "
          + "8 at 1/16"))
    #expect(message("ip-plain-sd15.safetensors", sd15).contains("contains no T2I-Adapter"))
    #expect(message("nothing", sd15).contains("does not exist"))
  }

  @Test(
    "What no graph is written for is refused by its name",
    arguments: [
      ("adapter_type", "\"heavy\""), ("in_channels", "2"), ("_class_name", "\"MultiAdapter\""),
      ("channels", "[]"), ("num_res_blocks", "0"), ("downscale_factor", "0"),
    ])
  func configuration(key: String, value: String) throws {
    let path = "\(AdaptedNetwork.folder)/t2i-full/config.json"
    var object = try #require(
      try JSONSerialization.jsonObject(with: Data(contentsOf: URL(filePath: path)))
        as? [String: Any])
    object[key] = try JSONSerialization.jsonObject(
      with: Data(value.utf8), options: .fragmentsAllowed)
    let temporary = try TemporaryFolder()
    let file = try temporary.write(
      Array(JSONSerialization.data(withJSONObject: object)), as: "config.json")
    let error = #expect(throws: ModelError.self) {
      try T2IAdapterConfiguration(ConfigurationFile(path: file))
    }
    #expect(error?.message.contains("\(key) =") == true, "\(error?.message ?? "")")
  }

  @Test("A weight too many or too few is an error with its name")
  func weights() throws {
    let network = try AdaptedNetwork("unet-sd15").configuration
    let store = try WeightStore(file: "\(AdaptedNetwork.folder)/t2i-light-original.safetensors")
    let folder = try TemporaryFolder()
    func problem(_ change: (inout [(String, [Int], [Float])]) -> Void) throws -> String {
      var tensors = try store.weights.values.map {
        ($0.name, $0.shape.dimensions, try $0.floats())
      }
      change(&tensors)
      let path = try folder.write(SafetensorsWriter.file(tensors), as: "\(tensors.count)")
      do {
        _ = try T2IAdapter.open(path: path, name: "control", fitting: network)
        return ""
      } catch { return "\(error)" }
    }
    #expect(try problem { _ in } == "")
    let missing = "body.1.body.0.block2.bias"
    #expect(
      try problem { $0.removeAll { $0.0 == missing } }.contains("body.1.resnets.0.block2.bias"))
    #expect(try problem { $0.append(("body.1.norm.weight", [1], [1])) }.contains("body.1.norm"))
  }
}
