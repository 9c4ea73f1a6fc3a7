import FlowCore
import FlowEngine
import FlowGraph
import FlowTestSupport
import Foundation
import Testing

@testable import StreamFlow

/// What is computed once, before the ticks, is what each tick would compute.
@Suite struct NetworkTableTests {
  @Test(
    "A network that reads tables gives what it gives without", arguments: ["sd", "sdxl", "lcm"],
    [UNet.Tables.text, .time, [.text, .time]])
  func same(model: String, tables: UNet.Tables) throws {
    let checkpoint = try Checkpoint(folder: PipelineTests.folder(model))
    let unet = UNet(configuration: checkpoint.unet, weights: checkpoint.unetWeights.root)
    let configuration = EngineConfiguration()
    let textTable = try TextTable(unet, checkpoint, configuration: configuration, cache: nil)
    var noise = GaussianNoise(seed: 5)
    let drawn: (Shape) -> [Float] = { noise.latents(shape: $0).scalars }
    let hidden = drawn([2 * checkpoint.tokenCount, checkpoint.unet.conditioningWidth])
    var others: [[Float]] = []
    if let addition = checkpoint.unet.addition {
      others = [drawn([addition.pooledWidth]), [32, 40, 0, 1, 32, 40]]
    }
    if checkpoint.unet.guidanceWidth != nil { others.append([6500]) }
    let sample = drawn([4, 8, 8])
    func output(_ tables: UNet.Tables, text: [Float]) throws -> [Float] {
      let blueprint = try NetworkBlueprint(
        checkpoint, height: 8, width: 8, tables: tables, configuration: configuration, cache: nil)
      let network = try VelocityNetwork(blueprint, rowCapacity: 2)
      network.chunkCount = 2
      let conditioning = Conditioning(text: text, others: others, chunkCount: 2)
      try network.begin(rowCount: 2)
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
    let plain = try output([], text: hidden)
    let text = try tables.contains(.text) ? textTable(hidden) : hidden
    expectClose(try output(tables, text: text), plain, relativeTolerance: 1e-5)
  }

  @Test("Tables are for small pictures of large networks, by their share of the work")
  func choice() throws {
    let starter = try Checkpoint.starter()
    let small = UNet(configuration: starter.unet, weights: starter.unetWeights.root)
    #expect(
      try small.worthwhileTables(height: 16, width: 16, tokens: starter.tokenCount).isEmpty)
    let checkpoint = try Checkpoint(folder: PipelineTests.folder("sd"))
    let unet = UNet(configuration: checkpoint.unet, weights: checkpoint.unetWeights.root)
    #expect(try unet.worthwhileTables(height: 2, width: 2, tokens: 24) == [.text, .time])
    #expect(try unet.worthwhileTables(height: 32, width: 32, tokens: 24).isEmpty)
  }
}
