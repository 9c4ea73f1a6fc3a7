import FlowCore
import FlowGraph
import FlowTestSupport
import Testing

@testable import FlowModels

/// The network of Z-Image against diffusers', on a tiny seeded model.
///
/// Both sides compute in float32 and sum in different orders; 1e-4 of the 2-norm is what is asked
/// for, and what is seen is about 1e-6.
@Suite(.tags(.engine)) struct ZImageTransformerTests {
  private let fixture: NetworkFixture
  private let network: ZImageTransformer

  init() throws {
    fixture = try NetworkFixture("zimage-transformer")
    network = ZImageTransformer(
      configuration: try ZImageTransformerConfiguration(fixture.configuration),
      weights: fixture.store.root)
  }

  @Test("Rows of different timesteps and text lengths give diffusers' velocity", arguments: 0...2)
  func golden(index: Int) async throws {
    let graph = try network.graph(fixture.shape(index))
    // 15 tokens of the first image are padded to 32, those of the second are 32.
    let unread = Set(fixture.store.weights.keys).subtracting(fixture.weights(of: graph))
    #expect(unread == (index != 1 ? [] : ["x_pad_token"]))
    expectClose(
      try await fixture.run(graph, fixture.inputs(index)), try fixture.output(index),
      relativeTolerance: 1e-4)
  }

  @Test("A text in a batch with a longer one gives what it gives where it is the longest")
  func lengths() async throws {
    let (shape, inputs) = (try fixture.shape(2), try fixture.inputs(2))
    let together = try await fixture.run(network.graph(shape), inputs)
    #expect(inputs["count"] == [32, 64])
    for (row, tokens) in [(0, 32), (1, 64)] {
      let lane = BatchShape(rows: 1, height: shape.height, width: shape.width, tokens: tokens)
      var own = inputs.row(row, of: 2)
      let count = tokens * network.configuration.textWidth
      own["hidden"] = own["hidden"].map { [Float]($0[..<count]) }
      expectClose(
        try await fixture.run(network.graph(lane), own), together.row(row, of: 2),
        relativeTolerance: 1e-6)
    }
  }

  @Test("A row gives the same as alone")
  func batchInvariance() async throws {
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

  @Test("Modulation read from a table is what the network computes itself")
  func modulation() async throws {
    let (shape, inputs) = (try fixture.shape(0), try fixture.inputs(0))
    let (graph, making) = (
      try network.graph(shape, readsModulation: true), try network.modulationGraph()
    )
    var reading = inputs
    let timesteps = try #require(inputs["timestep"])
    reading["timestep"] = nil
    var table: [Float] = []
    for timestep in timesteps { table += try await fixture.run(making, ["timestep": [timestep]]) }
    reading[ZImageTransformer.modulationInput] = table
    expectClose(
      try await fixture.run(graph, reading), try await fixture.run(network.graph(shape), inputs),
      relativeTolerance: 1e-6)
    // Nothing that makes the table is left in what ticks.
    #expect(fixture.weights(of: graph).isDisjoint(with: fixture.weights(of: making)))
    #expect(fixture.weights(of: graph, making) == Set(fixture.store.weights.keys))
  }

  @Test("What stands behind a text's last token is not read")
  func padding() async throws {
    let shape = try fixture.shape(2)
    var inputs = try fixture.inputs(2)
    let count = try #require(inputs["realCount"])
    let width = network.configuration.textWidth
    for row in 0..<shape.rows {
      for index in Int(count[row]) * width..<shape.tokens * width {
        inputs["hidden"]?[row * shape.tokens * width + index] = 1e3
      }
    }
    expectClose(
      try await fixture.run(network.graph(shape), inputs), try fixture.output(2),
      relativeTolerance: 1e-4)
  }

  @Test(
    "Sizes that the positions do not reach, and texts that are not padded, are refused",
    arguments: [(5, 4, 32), (4, 4, 31), (4, 4, 256), (66, 4, 32), (4, 66, 32), (4, 4, 0)])
  func sizes(height: Int, width: Int, tokens: Int) {
    #expect(throws: GraphError.self) {
      try network.graph(BatchShape(rows: 1, height: height, width: width, tokens: tokens))
    }
  }
}
