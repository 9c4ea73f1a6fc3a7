import FlowCore
import FlowGraph
import FlowTestSupport
import Foundation
import Testing

@testable import FlowModels

/// The transformer of FLUX.1 against diffusers, on tiny seeded models with and without guidance.
///
/// Both sides compute in float32 and sum in different orders; 1e-4 of the 2-norm is what is asked
/// for, and what is seen is about 1e-6.
@Suite(.tags(.engine)) struct FluxTransformerTests {
  private static let models = ["flux-schnell", "flux-dev"]

  static func network(
    of store: WeightStore, _ fixture: NetworkFixture
  ) throws -> FluxTransformer {
    FluxTransformer(
      configuration: try FluxTransformerConfiguration(fixture.configuration), weights: store.root)
  }

  private static func model(_ name: String) throws -> (NetworkFixture, FluxTransformer) {
    let fixture = try NetworkFixture(name)
    return (fixture, try network(of: fixture.store, fixture))
  }

  /// The sizes of a case's reference images.
  private static func references(
    _ index: Int, _ fixture: NetworkFixture
  ) throws -> [LatentSize] {
    try fixture.golden.names.filter { $0.hasPrefix("\(index).reference") }.map { name in
      let shape = try fixture.golden.shape(name)
      return LatentSize(height: shape[2], width: shape[3])
    }
  }

  @Test(
    "Rows of different timesteps, sizes of any shape and reference images give diffusers' output",
    arguments: models, 0..<4)
  func golden(name: String, index: Int) async throws {
    let (fixture, network) = try Self.model(name)
    let references = try Self.references(index, fixture)
    #expect(references.count == [0, 0, 1, 2][index])
    let graph = try network.graph(fixture.shape(index), references: references)
    #expect(fixture.weights(of: graph) == Set(fixture.store.weights.keys))
    expectClose(
      try await fixture.run(graph, fixture.inputs(index)), try fixture.output(index),
      relativeTolerance: 1e-4)
  }

  @Test("A row gives the same as alone", arguments: models)
  func batchInvariance(name: String) async throws {
    let (fixture, network) = try Self.model(name)
    let (shape, inputs) = (try fixture.shape(0), try fixture.inputs(0))
    let whole = try await fixture.run(network.graph(shape), inputs)
    let alone = BatchShape(
      rows: 1, height: shape.height, width: shape.width, tokens: shape.tokens)
    for row in 0..<shape.rows {
      expectClose(
        try await fixture.run(network.graph(alone), inputs.row(row, of: shape.rows)),
        whole.row(row, of: shape.rows), relativeTolerance: 1e-6)
    }
  }

  @Test(
    "Modulation read from a table is what the network computes itself", arguments: models, [0, 3])
  func modulation(name: String, index: Int) async throws {
    let (fixture, network) = try Self.model(name)
    let (shape, inputs) = (try fixture.shape(index), try fixture.inputs(index))
    let references = try Self.references(index, fixture)
    let graph = try network.graph(shape, references: references, readsModulation: true)
    let making = try network.modulationGraph()
    let times = inputs.filter { ["timestep", "pooled", "guidance"].contains($0.key) }
    #expect((times.count == 3) == network.configuration.readsGuidance)
    var table: [Float] = []
    for row in 0..<shape.rows {
      table += try await fixture.run(making, times.row(row, of: shape.rows))
    }
    var reading = inputs.filter { times[$0.key] == nil }
    reading[FluxTransformer.modulationInput] = table
    expectClose(
      try await fixture.run(graph, reading),
      try await fixture.run(network.graph(shape, references: references), inputs),
      relativeTolerance: 1e-6)
    // Nothing that makes the table is left in what ticks.
    #expect(fixture.weights(of: graph).isDisjoint(with: fixture.weights(of: making)))
    #expect(fixture.weights(of: graph, making) == Set(fixture.store.weights.keys))
  }

  @Test("An adapter reaches the image's tokens behind every block, and no others", arguments: 0..<4)
  func hooks(block: Int) async throws {
    let (fixture, network) = try Self.model("flux-schnell")
    let (shape, references) = (try fixture.shape(2), try Self.references(2, fixture))
    let adapter = BlockResidual(
      block: block,
      shape: [shape.rows, shape.height * shape.width / 4, network.configuration.width])
    let graph = try network.graph(shape, references: references, adapters: [adapter])
    var inputs = try fixture.inputs(2)
    var residual = [Float](repeating: 0, count: adapter.shape.elementCount)
    inputs["residual"] = residual
    let plain = try fixture.output(2)
    expectClose(try await fixture.run(graph, inputs), plain, relativeTolerance: 1e-4)
    residual[0] = 1
    inputs["residual"] = residual
    let changed = try await fixture.run(graph, inputs)
    #expect(zip(changed, plain).contains { abs($0 - $1) > 1e-2 })
    // The row that nothing was added to stays.
    expectClose(changed.row(1, of: 2), plain.row(1, of: 2), relativeTolerance: 1e-4)
  }

  @Test("A file in the original names is the same network, bit for bit, none of it copied")
  func originalNames() async throws {
    let (fixture, network) = try Self.model("flux-dev")
    let file = try WeightStore(file: Bundle.module.fixture("flux-dev/original.safetensors"))
    let store = try network.configuration.weights(
      file.mapped { (weight) throws(GraphError) in
        try FluxNames.weights(weight, named: weight.name)
      })
    #expect(Set(store.weights.keys) == Set(fixture.store.weights.keys))
    #expect(store.byteCount == fixture.store.byteCount)
    let renamed = try Self.network(of: store, fixture)
    for index in [0, 3] {
      let (shape, inputs) = (try fixture.shape(index), try fixture.inputs(index))
      let references = try Self.references(index, fixture)
      let expected = try await fixture.run(
        network.graph(shape, references: references), inputs)
      let graph = try renamed.graph(shape, references: references)
      #expect(try await fixture.run(graph, of: store, inputs) == expected)
    }
    let values = FluxTransformerConfiguration.values(of: store.shapes).merging(
      ["axes_dims_rope": .list([.integer(4), .integer(6), .integer(6)])]
    ) { own, _ in own }
    let configuration = try FluxTransformerConfiguration(
      ConfigurationFile(path: "flux1-dev.safetensors", values: values))
    #expect(configuration == network.configuration)
  }

  @Test("A weight that nothing reads is refused, and one that is missing")
  func strangeWeights() throws {
    let (fixture, network) = try Self.model("flux-schnell")
    let configuration = network.configuration
    #expect(try configuration.weights(fixture.store).byteCount == fixture.store.byteCount)
    let strange = fixture.store.renamed { $0 == "proj_out.bias" ? "proj_in.bias" : $0 }
    var error = #expect(throws: GraphError.self) { try configuration.weights(strange) }
    #expect(error?.message.contains("'proj_out.bias'") == true)
    // FLUX.1 dev reads a guidance scale, which schnell has no layers for.
    let dev = try NetworkFixture("flux-dev").store
    error = #expect(throws: GraphError.self) { try configuration.weights(dev) }
    #expect(error?.message.contains("guidance_embedder") == true)
  }

  @Test("Sizes that do not divide into patches are refused")
  func oddSize() throws {
    let (_, network) = try Self.model("flux-dev")
    let error = #expect(throws: GraphError.self) {
      try network.graph(BatchShape(rows: 1, height: 5, width: 4, tokens: 3))
    }
    #expect(error?.message.contains("5 x 4") == true)
  }
}
