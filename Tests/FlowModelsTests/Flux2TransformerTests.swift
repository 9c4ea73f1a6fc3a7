import FlowCore
import FlowGraph
import FlowTestSupport
import Testing

@testable import FlowModels

/// The network of FLUX.2 against diffusers', on tiny seeded models with and without guidance.
///
/// Both sides compute in float32 and sum in different orders; 1e-4 of the 2-norm is what is asked
/// for, and what is seen is about 1e-6.
@Suite(.tags(.engine)) struct Flux2TransformerTests {
  private static let models = ["flux2-klein-transformer", "flux2-transformer"]

  private static func model(_ name: String) throws -> (NetworkFixture, Flux2Transformer) {
    let fixture = try NetworkFixture(name)
    let network = Flux2Transformer(
      configuration: try Flux2TransformerConfiguration(fixture.configuration),
      weights: fixture.store.root)
    return (fixture, network)
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
    "Rows of different timesteps, text lengths and reference images give diffusers' velocity",
    arguments: models, 0...2)
  func golden(name: String, index: Int) async throws {
    let (fixture, network) = try Self.model(name)
    let references = try Self.references(index, fixture)
    #expect(references.count == (index == 2 ? 2 : 0))
    let graph = try network.graph(fixture.shape(index), references: references)
    #expect(fixture.weights(of: graph) == Set(fixture.store.weights.keys))
    expectClose(
      try await fixture.run(graph, fixture.inputs(index)), try fixture.output(index),
      relativeTolerance: 1e-4)
  }

  @Test("A row gives the same as alone", arguments: models, [0, 2])
  func batchInvariance(name: String, index: Int) async throws {
    let (fixture, network) = try Self.model(name)
    let (shape, inputs) = (try fixture.shape(index), try fixture.inputs(index))
    let references = try Self.references(index, fixture)
    let whole = try await fixture.run(network.graph(shape, references: references), inputs)
    let alone = BatchShape(
      rows: 1, height: shape.height, width: shape.width, tokens: shape.tokens)
    for row in 0..<shape.rows {
      expectClose(
        try await fixture.run(
          network.graph(alone, references: references), inputs.row(row, of: shape.rows)),
        whole.row(row, of: shape.rows), relativeTolerance: 1e-6)
    }
  }

  @Test("Modulation read from a table is what the network computes itself", arguments: models)
  func modulation(name: String) async throws {
    let (fixture, network) = try Self.model(name)
    let (shape, inputs) = (try fixture.shape(2), try fixture.inputs(2))
    let references = try Self.references(2, fixture)
    let graph = try network.graph(shape, references: references, readsModulation: true)
    let making = try network.modulationGraph()
    let times = inputs.filter { ["timestep", "guidance"].contains($0.key) }
    #expect((times.count == 2) == network.configuration.readsGuidance)
    var table: [Float] = []
    for row in 0..<shape.rows {
      table += try await fixture.run(making, times.row(row, of: shape.rows))
    }
    var reading = inputs.filter { times[$0.key] == nil }
    reading[Flux2Transformer.modulationInput] = table
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
    let (fixture, network) = try Self.model("flux2-klein-transformer")
    let (shape, references) = (try fixture.shape(2), try Self.references(2, fixture))
    let adapter = BlockResidual(
      block: block,
      shape: [shape.rows, shape.height * shape.width, network.configuration.width])
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
}
