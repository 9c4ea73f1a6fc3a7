import FlowCore
import FlowEngine
import FlowGraph
import FlowTestSupport
import Foundation
import Testing

@testable import FlowModels

/// A tiny seeded network with a ControlNet of its own, and diffusers' outputs with both: three rows
/// with control images and scales of their own.
struct ControlNetFixture {
  let name: String
  let golden: Golden
  let network: ControlNet.Network
  let store: WeightStore
  let size: PixelSize
  private let shape: BatchShape

  static let rows = 3

  init(_ name: String) throws {
    self.name = name
    golden = try Golden("\(name)/golden.safetensors", in: .module)
    let isUNet = golden.names.contains("sizes") || !golden.names.contains("pooled")
    let folder = Bundle.module.fixture("\(name)-\(isUNet ? "unet" : "transformer")")
    let file = try ConfigurationFile(path: "\(folder)/config.json")
    store = try WeightStore(folder: folder, stem: "diffusion_pytorch_model")
    network =
      if isUNet {
        .unet(try UNetConfiguration(file))
      } else if name.contains("flux") {
        .flux(try FluxTransformerConfiguration(file))
      } else {
        .sd3(try SD3TransformerConfiguration(file))
      }
    let sample = try golden.shape("sample")
    shape = BatchShape(
      rows: Self.rows, height: sample[2], width: sample[3],
      tokens: try golden.shape("hidden")[1])
    size = PixelSize(width: 8 * sample[3], height: 8 * sample[2])
  }

  static func context(
    _ folder: String, name: String = "adapter0", options: ControlNet.Options = ControlNet.Options()
  ) -> ControlNetContext {
    ControlNetContext(
      path: Bundle.module.fixture(folder), name: name, factor: 8, options: options)
  }

  /// The ControlNet, or a similar one.
  func adapter(
    _ folder: String? = nil, name: String = "adapter0",
    options: ControlNet.Options = ControlNet.Options()
  ) throws -> any ImageAdapter {
    let context = Self.context(folder ?? self.name, name: name, options: options)
    return try ControlNet.open(
      ControlNetFile(path: context.path, variant: nil), fitting: network, context)
  }

  /// The ControlNet with other values of some weights.
  func adapter(
    changing weights: [(String, [Int], [Float])]
  ) throws -> any ImageAdapter {
    let context = Self.context(name)
    let file = try ControlNetFile(path: context.path, variant: nil)
    let folder = try TemporaryFolder()
    let path = try folder.write(SafetensorsWriter.file(weights), as: "changed.safetensors")
    return try ControlNet.open(
      ControlNetFile(
        file.configuration, WeightStore(file: path).merging(file.weights)), fitting: network,
      context)
  }

  /// Builds the network with adapters, and what makes the tables that it reads.
  func graph(
    _ adapters: [any NetworkAdapter], readsTables: Bool = false
  ) throws -> (network: Graph, tables: [PortName: Graph]) {
    switch network {
    case .unet(let configuration):
      let network = UNet(configuration: configuration, weights: store.root)
      let graph = try network.graph(
        shape, tables: readsTables ? [.text, .time] : [], adapters: adapters)
      let tables = [
        UNet.Tables.textInput: try network.textTableGraph(tokens: shape.tokens),
        UNet.Tables.timeInput: try network.timeTableGraph(),
      ]
      return (graph, readsTables ? tables : [:])
    case .sd3(let configuration):
      let network = SD3Transformer(configuration: configuration, weights: store.root)
      let graph = try network.graph(shape, readsModulation: readsTables, adapters: adapters)
      let tables = [SD3Transformer.modulationInput: try network.modulationGraph()]
      return (graph, readsTables ? tables : [:])
    case .flux(let configuration):
      let network = FluxTransformer(configuration: configuration, weights: store.root)
      let graph = try network.graph(shape, readsModulation: readsTables, adapters: adapters)
      let tables = [FluxTransformer.modulationInput: try network.modulationGraph()]
      return (graph, readsTables ? tables : [:])
    }
  }

  /// A table of the rows, made of those of the inputs that its graph reads.
  private func table(_ graph: Graph, _ inputs: [PortName: [Float]]) async throws -> [Float] {
    let program = try await Program.shared(GraphModule(graph, weightsIdentity: store.identity))
    var table: [Float] = []
    for row in 0..<Self.rows {
      for port in program.inputs {
        let elements = try #require(inputs[port.name]).row(row, of: Self.rows)
        program.write(port.name, ContiguousArray(elements).span)
      }
      try program.run()
      table += program.read(0, as: Float.self) { span in span.indices.map { span[$0] } }
    }
    return table
  }

  /// What an adapter makes of the control image of each row.
  func image(
    _ adapter: any ImageAdapter, _ input: String? = nil
  ) async throws -> [PortName: [Float]] {
    let graph = try adapter.imageGraph(for: size, isUnconditional: false)
    let program = try await Program.shared(
      GraphModule(graph, weightsIdentity: adapter.weightStores.flatMap(\.identity)))
    let space = adapter.imageSpace == .pixels ? "pixels" : "latents"
    let image = try golden.floats(input ?? space)
    var values: [PortName: [Float]] = [:]
    for row in 0..<Self.rows {
      let own = image.row(row, of: Self.rows)
      if adapter.imageSpace == .pixels {
        program.write(PortName(space), ContiguousArray(own.map { UInt8($0) }).span)
      } else {
        program.write(PortName(space), ContiguousArray(own).span)
      }
      try program.run()
      for output in program.outputs {
        values[output.name, default: []] += program.read(output.name, as: Float.self) { span in
          span.indices.map { span[$0] }
        }
      }
    }
    return values
  }

  /// What the network gives with adapters, by what they read.
  func output(
    _ adapters: [any ImageAdapter], _ images: [PortName: [Float]],
    scales: [[(Float, isUnconditional: Bool)]], readsTables: Bool = false
  ) async throws -> [Float] {
    let identity = store.identity + adapters.flatMap(\.weightStores).flatMap(\.identity)
    let (graph, tables) = try graph(adapters, readsTables: readsTables)
    let program = try await Program.shared(GraphModule(graph, weightsIdentity: identity))
    var inputs = images
    for name: PortName in ["sample", "timestep", "hidden", "pooled", "sizes", "guidance"]
    where golden.names.contains("\(name)") { inputs[name] = try golden.floats("\(name)") }
    for (adapter, scales) in zip(adapters, scales) {
      inputs[PortName("\(adapter.name).scales")] = scales.flatMap { scale in
        adapter.scales(scale.0, isUnconditional: scale.isUnconditional)
      }
    }
    for (name, graph) in tables { inputs[name] = try await table(graph, inputs) }
    #expect(Set(program.inputs.map(\.name)) == Set(inputs.keys))
    for (name, elements) in inputs { program.write(name, ContiguousArray(elements).span) }
    try program.run()
    return program.read(0, as: Float.self) { span in span.indices.map { span[$0] } }
  }

  /// Scales of rows of the conditional prediction.
  func scales(_ name: String = "scales") throws -> [(Float, isUnconditional: Bool)] {
    try golden.floats(name).map { ($0, isUnconditional: false) }
  }
}
