import FlowCore
import FlowEngine
import FlowGraph
import FlowTestSupport
import Foundation
import Testing

@testable import FlowModels

/// A tiny seeded network with diffusers' outputs: cases `0.sample`, `0.output` and on.
struct NetworkFixture {
  let store: WeightStore
  let golden: Golden
  let configuration: ConfigurationFile

  init(_ name: String) throws {
    let folder = Bundle.module.fixture(name)
    store = try WeightStore(folder: folder, stem: "diffusion_pytorch_model")
    golden = try Golden("\(name)/golden.safetensors", in: .module)
    configuration = try ConfigurationFile(path: "\(folder)/config.json")
  }

  var caseCount: Int { golden.names.count { $0.hasSuffix(".output") } }

  /// The shapes of a case.
  func shape(_ index: Int) throws -> BatchShape {
    let sample = try golden.shape("\(index).sample")
    return BatchShape(
      rows: sample[0], height: sample[2], width: sample[3],
      tokens: try golden.shape("\(index).hidden")[1])
  }

  /// What a case's network reads, by the names of its inputs.
  func inputs(_ index: Int) throws -> [PortName: [Float]] {
    var inputs: [PortName: [Float]] = [:]
    for name in golden.names where name.hasPrefix("\(index).") {
      inputs[PortName(String(name.dropFirst(2)))] = try golden.floats(name)
    }
    inputs["output"] = nil
    return inputs
  }

  func output(_ index: Int) throws -> [Float] { try golden.floats("\(index).output") }

  /// The first output of a graph, which must read every input that is given.
  ///
  /// - Parameter other: the weights that the graph was written with, if they are not the fixture's.
  func run(
    _ graph: Graph, of other: WeightStore? = nil, _ inputs: [PortName: [Float]]
  ) async throws -> [Float] {
    let identity = (other ?? store).identity
    let program = try await Program.shared(GraphModule(graph, weightsIdentity: identity))
    #expect(Set(program.inputs.map(\.name)) == Set(inputs.keys))
    for (name, elements) in inputs { program.write(name, ContiguousArray(elements).span) }
    try program.run()
    return program.read(0, as: Float.self) { span in span.indices.map { span[$0] } }
  }

  /// The names of the weights that graphs read.
  func weights(of graphs: Graph...) -> Set<String> {
    Set(graphs.flatMap { GraphModule($0, weightsIdentity: []).weights.map(\.name) })
  }
}

extension [PortName: [Float]] {
  /// One row of inputs of several.
  func row(_ index: Int, of count: Int) -> [PortName: [Float]] {
    mapValues { $0.row(index, of: count) }
  }
}

extension [Float] {
  /// One row of several.
  func row(_ index: Int, of count: Int) -> [Float] {
    let width = self.count / count
    return [Float](self[index * width..<(index + 1) * width])
  }
}

/// Adds an input to the image's tokens behind a block.
struct BlockResidual: NetworkAdapter {
  let block: Int
  let shape: Shape

  func attach(to hooks: inout NetworkHooks) throws(GraphError) {
    let residual = hooks.graph.input("residual", shape: shape)
    hooks.attach(at: .block(block)) { value, _ throws(GraphError) in try value + residual }
  }
}
