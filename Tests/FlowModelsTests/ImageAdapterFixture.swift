import FlowCore
import FlowEngine
import FlowGraph
import FlowTestSupport
import Foundation
import Testing

@testable import FlowModels

/// A tiny UNet of diffusers, to which adapters of images are attached.
struct AdaptedNetwork {
  static let folder = Bundle.module.fixture("image-adapters")

  let configuration: UNetConfiguration
  let weights: WeightStore

  init(_ name: String) throws {
    let folder = "\(Self.folder)/\(name)"
    configuration = try UNetConfiguration(ConfigurationFile(path: "\(folder)/config.json"))
    weights = try WeightStore(folder: folder, stem: "diffusion_pytorch_model")
  }

  /// What diffusers gave.
  static func golden(_ name: String) throws -> Golden {
    try Golden("image-adapters/\(name)golden.safetensors", in: .module)
  }

  /// The network's own inputs of a golden file.
  static func inputs(_ golden: Golden) throws -> [PortName: [Float]] {
    var inputs: [PortName: [Float]] = [:]
    for name in ["sample", "timestep", "hidden", "pooled", "sizes"]
    where golden.names.contains(name) { inputs[PortName(name)] = try golden.floats(name) }
    return inputs
  }

  /// The network's output with adapters, for the inputs of a golden file and those of its adapters.
  func output(
    _ golden: Golden, adapters: [any ImageAdapter] = [], inputs: [PortName: [Float]] = [:]
  ) async throws -> [Float] {
    let sample = try golden.shape("sample")
    let graph = try UNet(configuration: configuration, weights: weights.root).graph(
      BatchShape(
        rows: sample[0], height: sample[2], width: sample[3],
        tokens: try golden.shape("hidden")[1]), adapters: adapters)
    let inputs = try Self.inputs(golden).merging(inputs) { $1 }
    let outputs = try await Self.run(graph, [weights], inputs)
    return try #require(outputs["output"])
  }

  /// The outputs of a graph, which must read every input that is given.
  static func run(
    _ graph: Graph, _ stores: [WeightStore], _ inputs: [PortName: [Float]]
  ) async throws -> [PortName: [Float]] {
    let program = try await Program.shared(
      GraphModule(graph, weightsIdentity: stores.flatMap(\.identity)))
    #expect(Set(program.inputs.map(\.name)) == Set(inputs.keys))
    for port in program.inputs {
      let elements = try #require(inputs[port.name])
      try #require(elements.count == port.shape.elementCount, "\(port.name)")
      if port.type == .uint8 {
        program.write(port.name, ContiguousArray(elements.map { UInt8($0) }).span)
      } else {
        program.write(port.name, ContiguousArray(elements).span)
      }
    }
    try program.run()
    return program.outputs.reduce(into: [:]) { outputs, port in
      outputs[port.name] = program.read(port.name, as: Float.self) { span in
        span.indices.map { span[$0] }
      }
    }
  }

  /// The size of a golden file's output image.
  static func size(_ golden: Golden) throws -> PixelSize {
    let sample = try golden.shape("sample")
    return PixelSize(width: 8 * sample[3], height: 8 * sample[2])
  }
}

/// Adapters and the models that they are opened for.
@Suite struct ImageAdapterFamilyTests {
  @Test("T2I- and IP-Adapters are refused for models of other families and other sizes")
  func families() throws {
    let models = [
      (try Checkpoint.starter64().family, "it is for another kind of model"),
      (
        try Checkpoint(folder: Bundle.module.fixture("pipelines/flux")).family,
        "are supported for Stable Diffusion 1, 2 and XL, not for this model"
      ),
    ]
    for (family, problem) in models {
      let control = #expect(throws: ModelError.self) {
        try T2IAdapter.open(
          path: "\(AdaptedNetwork.folder)/t2i-full", name: "adapter0", for: family)
      }
      #expect(control?.message.contains(problem) == true, "\(control?.message ?? "")")
      let reference = #expect(throws: ModelError.self) {
        try IPAdapter.open(
          path: "\(AdaptedNetwork.folder)/ip-plain-sd15.safetensors", name: "adapter0",
          for: family)
      }
      #expect(reference?.message.contains(problem) == true, "\(reference?.message ?? "")")
    }
  }
}

extension ImageAdapter {
  /// What the adapter makes of an image of each row, nil for the unconditional prediction: one row
  /// after another, by the names of the network's inputs.
  func inputs(
    of rows: [[Float]?], size: PixelSize
  ) async throws -> [PortName: [Float]] {
    var inputs: [PortName: [Float]] = [:]
    for pixels in rows {
      let graph = try imageGraph(for: size, isUnconditional: pixels == nil)
      let zeros = GraphModule(graph, weightsIdentity: []).inputs[0]
      let read: [PortName: [Float]] =
        if let pixels {
          ["pixels": pixels]
        } else { [zeros.name: [Float](repeating: 0, count: zeros.shape.elementCount)] }
      for (name, elements) in try await AdaptedNetwork.run(graph, weightStores, read) {
        inputs[name, default: []] += elements
      }
    }
    return inputs
  }

  /// The input of scales, of the scales of each row.
  func scales(_ rows: [Float]) -> [PortName: [Float]] {
    ["\(name).scales": rows.flatMap { scales($0, isUnconditional: false) }].reduce(into: [:]) {
      $0[PortName($1.key)] = $1.value
    }
  }
}

extension Golden {
  /// The rows of a tensor.
  func rows(_ name: String) throws -> [[Float]] {
    let (elements, count) = (try floats(name), try shape(name)[0])
    return (0..<count).map { elements.row($0, of: count) }
  }
}
