import FlowCore
import FlowEngine
import FlowGraph
import FlowTestSupport
import Foundation
import Testing

@testable import FlowModels

/// The transformer of FLUX.1 against diffusers, on tiny seeded models.
///
/// Both sides compute in float32 and sum in different orders; 1e-4 of the 2-norm is what is asked
/// for, and what is seen is about 1e-6.
@Suite(.tags(.engine)) struct FluxTransformerTests {
  /// A network, and what diffusers' gave of its inputs.
  struct Fixture {
    let network: FluxTransformer
    let store: WeightStore
    let golden: Golden

    init(_ name: String) throws {
      store = try WeightStore(
        folder: Bundle.module.fixture(name), stem: "diffusion_pytorch_model")
      network = try Self.network(of: store, name)
      golden = try Golden("\(name)/golden.safetensors", in: .module)
    }

    static func network(of store: WeightStore, _ name: String) throws -> FluxTransformer {
      let file = try ConfigurationFile(path: Bundle.module.fixture("\(name)/config.json"))
      return FluxTransformer(
        configuration: try FluxTransformerConfiguration(file), weights: store.root)
    }

    var caseCount: Int { golden.names.count { $0.hasSuffix(".output") } }

    /// The shapes of a case.
    func shape(_ index: Int) throws -> BatchShape {
      let sample = try golden.shape("\(index).sample")
      return BatchShape(
        rows: sample[0], height: sample[2], width: sample[3],
        tokens: try golden.shape("\(index).hidden")[1])
    }

    /// The sizes of a case's reference images.
    func references(_ index: Int) throws -> [LatentSize] {
      try golden.names.filter { $0.hasPrefix("\(index).reference") }.map { name in
        let shape = try golden.shape(name)
        return LatentSize(height: shape[2], width: shape[3])
      }
    }

    /// The inputs of a case, by the names that the graph gives them.
    func inputs(_ index: Int) throws -> [PortName: [Float]] {
      var inputs: [PortName: [Float]] = [:]
      for key in ["sample", "timestep", "hidden", "pooled", "guidance"]
      where golden.names.contains("\(index).\(key)") {
        inputs[PortName(key)] = try golden.floats("\(index).\(key)")
      }
      for number in try references(index).indices {
        inputs[FluxTransformer.Options.referenceInput(number)] =
          try golden.floats("\(index).reference\(number)")
      }
      return inputs
    }

    func options(_ index: Int) throws -> FluxTransformer.Options {
      FluxTransformer.Options(references: try references(index))
    }
  }

  static func run(
    _ graph: Graph, _ store: WeightStore, _ inputs: [PortName: [Float]]
  ) async throws -> [Float] {
    let program = try await Program.shared(GraphModule(graph, weightsIdentity: store.identity))
    for input in program.inputs {
      let scalars = try #require(inputs[input.name], "\(input.name)")
      #expect(scalars.count == input.shape.elementCount, "\(input.name)")
      program.withInput(input.name, as: Float.self) {
        for index in $0.indices { $0[index] = scalars[index] }
      }
    }
    try program.run()
    return program.read(0, as: Float.self) { span in span.indices.map { span[$0] } }
  }

  @Test(
    "Rows of different times, sizes of any shape and reference images give diffusers' output",
    arguments: ["flux-schnell", "flux-dev"])
  func golden(name: String) async throws {
    let fixture = try Fixture(name)
    #expect(fixture.caseCount == 4)
    for index in 0..<fixture.caseCount {
      let graph = try fixture.network.graph(fixture.shape(index), fixture.options(index))
      expectClose(
        try await Self.run(graph, fixture.store, fixture.inputs(index)),
        try fixture.golden.floats("\(index).output"), relativeTolerance: 1e-4)
    }
  }

  @Test("A row gives what it gives alone", arguments: ["flux-schnell", "flux-dev"])
  func batchInvariance(name: String) async throws {
    let fixture = try Fixture(name)
    let shape = try fixture.shape(0)
    let inputs = try fixture.inputs(0)
    let whole = try await Self.run(fixture.network.graph(shape), fixture.store, inputs)
    let alone = try fixture.network.graph(
      BatchShape(rows: 1, height: shape.height, width: shape.width, tokens: shape.tokens))
    for row in 0..<shape.rows {
      let own = inputs.mapValues { scalars in
        let count = scalars.count / shape.rows
        return [Float](scalars[row * count..<(row + 1) * count])
      }
      let count = whole.count / shape.rows
      expectClose(
        try await Self.run(alone, fixture.store, own),
        [Float](whole[row * count..<(row + 1) * count]), relativeTolerance: 1e-6)
    }
  }

  @Test(
    "A network that reads its modulation gives what it gives when it computes it",
    arguments: ["flux-schnell", "flux-dev"], 0..<4)
  func modulation(name: String, index: Int) async throws {
    let fixture = try Fixture(name)
    let (shape, inputs) = (try fixture.shape(index), try fixture.inputs(index))
    var options = try fixture.options(index)
    let plain = try await Self.run(
      fixture.network.graph(shape, options), fixture.store, inputs)
    options.readsModulation = true
    let reading = try fixture.network.graph(shape, options)
    let tableGraph = try fixture.network.modulationGraph()
    var table: [Float] = []
    for row in 0..<shape.rows {
      table += try await Self.run(
        tableGraph, fixture.store,
        inputs.filter { ["timestep", "pooled", "guidance"].contains($0.key) }.mapValues {
          let count = $0.count / shape.rows
          return [Float]($0[row * count..<(row + 1) * count])
        })
    }
    let output = try await Self.run(
      reading, fixture.store,
      inputs.merging([FluxTransformer.modulationInput: table]) { own, _ in own })
    expectClose(output, plain, relativeTolerance: 1e-6)
    // Nothing that makes the table is left in what ticks.
    let bytes = [reading, tableGraph].map {
      GraphModule($0, weightsIdentity: fixture.store.identity).weightsByteCount
    }
    #expect(bytes[0] + bytes[1] == fixture.store.byteCount)
  }

  /// Adds an input to the image's tokens behind a block.
  private struct Residual: NetworkAdapter {
    let block: Int
    let shape: Shape

    func attach(to hooks: inout NetworkHooks) throws(GraphError) {
      let residual = hooks.graph.input("residual", shape: shape)
      hooks.attach(at: .block(block)) { value, _ throws(GraphError) in try value + residual }
    }
  }

  @Test("An adapter reaches the image's tokens behind every block, and no others", arguments: 0..<4)
  func hooks(block: Int) async throws {
    let fixture = try Fixture("flux-schnell")
    let (shape, options) = (try fixture.shape(2), try fixture.options(2))
    let tokens = shape.height * shape.width / 4
    let adapter = Residual(block: block, shape: [shape.rows, tokens, 32])
    let graph = try fixture.network.graph(shape, options, adapters: [adapter])
    var inputs = try fixture.inputs(2)
    let plain = try fixture.golden.floats("2.output")
    inputs["residual"] = [Float](repeating: 0, count: shape.rows * tokens * 32)
    expectClose(
      try await Self.run(graph, fixture.store, inputs), plain, relativeTolerance: 1e-4)
    inputs["residual"]?[0] = 1
    let changed = try await Self.run(graph, fixture.store, inputs)
    #expect(zip(changed, plain).contains { abs($0 - $1) > 1e-2 })
    // The row that nothing was added to stays.
    let half = plain.count / 2
    expectClose(
      [Float](changed[half...]), [Float](plain[half...]), relativeTolerance: 1e-4)
  }

  @Test("A file in the original names is the same network, bit for bit, none of it copied")
  func originalNames() async throws {
    let fixture = try Fixture("flux-dev")
    let file = try WeightStore(file: Bundle.module.fixture("flux-dev/original.safetensors"))
    let store = try fixture.network.configuration.weights(
      file.mapped { (weight) throws(GraphError) in
        try FluxNames.weights(weight, named: weight.name)
      })
    #expect(Set(store.weights.keys) == Set(fixture.store.weights.keys))
    #expect(store.byteCount == fixture.store.byteCount)
    let network = try Fixture.network(of: store, "flux-dev")
    for index in 0..<fixture.caseCount {
      let (shape, options) = (try fixture.shape(index), try fixture.options(index))
      let inputs = try fixture.inputs(index)
      let expected = try await Self.run(
        fixture.network.graph(shape, options), fixture.store, inputs)
      #expect(try await Self.run(network.graph(shape, options), store, inputs) == expected)
    }
    let values = FluxTransformerConfiguration.values(of: store.shapes).merging(
      ["axes_dims_rope": .list([.integer(4), .integer(6), .integer(6)])]
    ) { own, _ in own }
    let configuration = try FluxTransformerConfiguration(
      ConfigurationFile(path: "flux1-dev.safetensors", values: values))
    #expect(configuration == fixture.network.configuration)
  }

  @Test("A weight that nothing reads is refused, and one that is missing")
  func strangeWeights() throws {
    let fixture = try Fixture("flux-schnell")
    let configuration = fixture.network.configuration
    #expect(try configuration.weights(fixture.store).byteCount == fixture.store.byteCount)
    let strange = fixture.store.renamed { $0 == "proj_out.bias" ? "proj_in.bias" : $0 }
    var error = #expect(throws: GraphError.self) { try configuration.weights(strange) }
    #expect(error?.message.contains("'proj_out.bias'") == true)
    // FLUX.1 dev reads a guidance scale, which schnell has no layers for.
    let dev = try Fixture("flux-dev").store
    error = #expect(throws: GraphError.self) { try configuration.weights(dev) }
    #expect(error?.message.contains("guidance_embedder") == true)
  }

  @Test("Sizes that do not divide into patches are refused")
  func oddSize() throws {
    let network = try Fixture("flux-dev").network
    let error = #expect(throws: GraphError.self) {
      try network.graph(BatchShape(rows: 1, height: 5, width: 4, tokens: 3))
    }
    #expect(error?.message.contains("5 x 4") == true)
  }
}
