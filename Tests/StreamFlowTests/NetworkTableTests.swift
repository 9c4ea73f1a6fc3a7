import FlowCore
import FlowEngine
import FlowGraph
import FlowTestSupport
import Foundation
import Testing

@testable import FlowModels
@testable import StreamFlow

/// What is computed once, before the ticks, is what each tick would compute.
@Suite(.tags(.engine)) struct NetworkTableTests {
  @Test(
    "A network that reads tables gives what it gives without", arguments: ["sd", "sdxl", "lcm"],
    [UNet.Tables.text, .time, [.text, .time]])
  func same(model: String, tables: UNet.Tables) async throws {
    let checkpoint = try Checkpoint(folder: PipelineTests.folder(model))
    let provider = EngineProvider(.ofTests)
    let textTable = try #require(
      try await NetworkBlueprint(
        checkpoint, height: 8, width: 8, precomputed: [UNet.Tables.textInput],
        provider: provider
      ).textTable())
    var noise = GaussianNoise(seed: 5)
    let drawn: (Shape) -> [Float] = { noise.latents(shape: $0).scalars }
    let hidden = drawn([2 * checkpoint.tokenCount, checkpoint.unet.conditioningWidth])
    var timeInputs: [Conditioning.Input] = []
    if let addition = checkpoint.unet.addition {
      timeInputs = [
        .init("pooled", drawn([addition.pooledWidth])), .init("sizes", [32, 40, 0, 1, 32, 40]),
      ]
    }
    if checkpoint.unet.guidanceWidth != nil { timeInputs.append(.init("guidance", [6500])) }
    let sample = ContiguousArray(drawn([4, 8, 8]))
    func output(_ tables: UNet.Tables, text: Conditioning.Input) async throws -> [Float] {
      let blueprint = try NetworkBlueprint(
        checkpoint, height: 8, width: 8, precomputed: Set(tables.inputs), provider: provider)
      let network = VelocityNetwork(
        blueprint, times: try await blueprint.timeTable(), rowCapacity: 2)
      network.structure.chunks = 2
      let conditioning = Conditioning(text: text, timeInputs: timeInputs, chunkCount: 2)
      try await network.prepare(rowCount: 2)
      network.begin(rowCount: 2)
      for (row, timestep) in [Float(937), 259].enumerated() {
        network.load(
          row: row, sample: sample.span, timestep: timestep, conditioning: conditioning)
      }
      try network.run()
      var outputs: [Float] = []
      for row in 0..<2 {
        network.withOutput(row: row) { span in outputs += span.indices.map { span[$0] } }
      }
      return outputs
    }
    let plain = try await output([], text: .init("hidden", hidden))
    let text: Conditioning.Input =
      tables.contains(.text) ? .init("texts", try textTable(hidden)) : .init("hidden", hidden)
    expectClose(try await output(tables, text: text), plain, relativeTolerance: 1e-5)
  }

  @Test("The text's table has the first attention of SDXS's largest level too")
  func textOnly() async throws {
    let folder = Bundle.module.fixture("unet-sdxs")
    let store = try WeightStore(folder: folder, stem: "diffusion_pytorch_model")
    let network = UNet(
      configuration: try UNetConfiguration(ConfigurationFile(path: "\(folder)/config.json")),
      weights: store.root)
    let shape = BatchShape(rows: 1, height: 8, width: 8, tokens: 5)
    func program(_ graph: Graph) async throws -> Program {
      try await Program.shared(GraphModule(graph, weightsIdentity: store.identity))
    }
    var noise = GaussianNoise(seed: 6)
    let sample = ContiguousArray(noise.latents(shape: [4, 8, 8]).scalars)
    let hidden = ContiguousArray(noise.latents(shape: [5, 20]).scalars)
    let table = try await program(network.textTableGraph(tokens: 5))
    table.write("hidden", hidden.span)
    try table.run()
    var outputs: [[Float]] = []
    for tables in [[], [.text]] as [UNet.Tables] {
      let run = try await program(network.graph(shape, tables: tables))
      run.write("sample", sample.span)
      run.write("timestep", ContiguousArray<Float>([421]).span)
      if tables.isEmpty {
        run.write("hidden", hidden.span)
      } else {
        run.write(UNet.Tables.textInput, ContiguousArray(table.floats("table")).span)
      }
      try run.run()
      outputs.append(run.floats("output"))
    }
    expectClose(outputs[1], outputs[0], relativeTolerance: 1e-5)
  }

  @Test("An input that neither the network nor its time table reads is an error, not dropped")
  func unread() async throws {
    let checkpoint = try Checkpoint(folder: PipelineTests.folder("sd"))
    for tables in [[], [.time]] as [UNet.Tables] {
      let blueprint = try NetworkBlueprint(
        checkpoint, height: 8, width: 8, precomputed: Set(tables.inputs),
        provider: EngineProvider(.ofTests))
      let network = VelocityNetwork(
        blueprint, times: try await blueprint.timeTable(), rowCapacity: 1)
      try await network.prepare(rowCount: 1)
      let hidden = ContiguousArray<Float>(
        repeating: 0, count: checkpoint.tokenCount * checkpoint.unet.conditioningWidth)
      let conditioning = Conditioning(
        text: .init("hidden", hidden), timeInputs: [.init("adapter", [1])], chunkCount: 1)
      let sample = ContiguousArray<Float>(repeating: 0, count: 4 * 8 * 8)
      // In the first tick, and in those that find the same conditioning in their row.
      for _ in 0..<2 {
        network.begin(rowCount: 1)
        network.load(row: 0, sample: sample.span, timestep: 1, conditioning: conditioning)
        let error = #expect(throws: EngineError.self) { try network.run() }
        #expect(error?.message.contains("has no input adapter") == true)
      }
    }
  }

  @Test("Tables are for small images of large networks, by their share of the work")
  func choice() throws {
    let starter = try Checkpoint.starter64()
    let small = UNet(configuration: starter.unet, weights: starter.networkWeights.root)
    #expect(
      try small.worthwhileTables(
        BatchShape(rows: 1, height: 16, width: 16, tokens: starter.tokenCount)
      ).isEmpty)
    let checkpoint = try Checkpoint(folder: PipelineTests.folder("sd"))
    let unet = UNet(configuration: checkpoint.unet, weights: checkpoint.networkWeights.root)
    for (side, tables) in [(2, [.text, .time]), (32, [])] as [(Int, UNet.Tables)] {
      let shape = BatchShape(rows: 1, height: side, width: side, tokens: 24)
      #expect(try unet.worthwhileTables(shape) == tables)
    }
  }
}
