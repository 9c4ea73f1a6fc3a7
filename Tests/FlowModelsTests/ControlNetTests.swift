import FlowCore
import FlowEngine
import FlowGraph
import FlowTestSupport
import Foundation
import Testing

@testable import FlowModels

/// Networks with ControlNets against diffusers, on tiny seeded models.
///
/// Both sides compute in float32 and sum in different orders; 1e-4 of the 2-norm is what is asked
/// for.
@Suite(.tags(.engine)) struct ControlNetTests {
  private static let unets = ["controlnet-sd15", "controlnet-sd21", "controlnet-sdxl"]
  private static let models =
    unets + ["controlnet-sd3", "controlnet-sd35", "controlnet-sd35-large"]
    + ["controlnet-flux", "controlnet-flux-union", "controlnet-flux-pixels"]

  private static func options(_ name: String) -> ControlNet.Options {
    ControlNet.Options(mode: name == "controlnet-flux-union" ? 2 : nil)
  }

  @Test(
    "Rows with control images and scales of their own give diffusers' output", arguments: models)
  func golden(name: String) async throws {
    let fixture = try ControlNetFixture(name)
    let adapter = try fixture.adapter(options: Self.options(name))
    let image = try await fixture.image(adapter)
    let output = try await fixture.output([adapter], image, scales: [fixture.scales()])
    expectClose(output, try fixture.golden.floats("controlled"), relativeTolerance: 1e-4)
    // The second row has a scale of 0: it is as without a ControlNet.
    let plain = try fixture.golden.floats("plain")
    expectClose(output.row(1, of: 3), plain.row(1, of: 3), relativeTolerance: 1e-5)
    for row in [0, 2] {
      #expect(zip(output.row(row, of: 3), plain.row(row, of: 3)).contains { abs($0 - $1) > 1e-2 })
    }
  }

  @Test(
    "Residuals are added where diffusers adds them, shown by constants 1, 2, ...",
    arguments: ["controlnet-sd15", "controlnet-sd3", "controlnet-flux"])
  func order(name: String) async throws {
    let fixture = try ControlNetFixture(name)
    let stored = try ControlNetFile(path: Bundle.module.fixture(name), variant: nil).weights
    let kinds = ["down_blocks", "mid_block", "blocks", "single_blocks"]
    let layers = kinds.flatMap { kind in
      let layer = "controlnet_\(kind)"
      return kind == "mid_block"
        ? [layer] : (0..<stored.shapes.count(of: layer)).map { "\(layer).\($0)" }
    }.filter(stored.shapes.has)
    let constants = layers.enumerated().flatMap { index, layer in
      ["weight", "bias"].map { parameter in
        let shape = stored.shapes["\(layer).\(parameter)"]?.dimensions ?? []
        let value = parameter == "bias" ? Float(index + 1) : 0
        // Of alternating signs, which normalization does not take away.
        let constant = (0..<shape.reduce(1, *)).map { $0.isMultiple(of: 2) ? value : -value }
        return ("\(layer).\(parameter)", shape, constant)
      }
    }
    let adapter = try fixture.adapter(changing: constants)
    let output = try await fixture.output(
      [adapter], fixture.image(adapter),
      scales: [[(1, isUnconditional: false), (1, false), (1, false)]])
    expectClose(output, try fixture.golden.floats("constants"), relativeTolerance: 1e-4)
  }

  @Test(
    "Two ControlNets at once add up, one of them in shards or without attention",
    arguments: ["controlnet-sd15", "controlnet-sdxl"])
  func two(name: String) async throws {
    let fixture = try ControlNetFixture(name)
    let first = try fixture.adapter()
    let second = try fixture.adapter("\(name)-second", name: "adapter1")
    let images = try await fixture.image(first)
      .merging(fixture.image(second, "second_pixels")) { one, _ in one }
    let output = try await fixture.output(
      [first, second], images, scales: [fixture.scales(), fixture.scales("second_scales")])
    expectClose(output, try fixture.golden.floats("both"), relativeTolerance: 1e-4)
  }

  @Test(
    "Guess mode controls the conditional prediction alone, deeper layers more",
    arguments: [
      "controlnet-sd15", "controlnet-sdxl",
    ])
  func guessing(name: String) async throws {
    let fixture = try ControlNetFixture(name)
    let adapter = try fixture.adapter(options: ControlNet.Options(guesses: true))
    let output = try await fixture.output(
      [adapter], fixture.image(adapter), scales: [[(0.7, false), (1, false), (0.9, true)]])
    expectClose(output, try fixture.golden.floats("guessed"), relativeTolerance: 1e-4)
    let plain = try fixture.golden.floats("plain")
    expectClose(output.row(2, of: 3), plain.row(2, of: 3), relativeTolerance: 1e-5)
  }

  @Test(
    "Where the network reads tables, a ControlNet reads the conditioning itself",
    arguments: ["controlnet-sdxl", "controlnet-flux"])
  func tables(name: String) async throws {
    let fixture = try ControlNetFixture(name)
    let adapter = try fixture.adapter()
    let output = try await fixture.output(
      [adapter], fixture.image(adapter), scales: [fixture.scales()], readsTables: true)
    expectClose(output, try fixture.golden.floats("controlled"), relativeTolerance: 1e-4)
  }

  @Test("Every weight is read", arguments: models)
  func weights(name: String) throws {
    let fixture = try ControlNetFixture(name)
    let adapter = try fixture.adapter(options: Self.options(name))
    let graphs = [
      try fixture.graph([adapter]).network,
      try adapter.imageGraph(for: fixture.size, isUnconditional: false),
    ]
    let read = Set(
      graphs.flatMap { GraphModule($0, weightsIdentity: []).weights }
        .map { String($0.name.prefix { $0 != " " }) }.filter { $0.hasPrefix("adapter0.") })
    #expect(read == Set(adapter.weightStores.flatMap(\.weights.keys)))
    #expect(adapter.readsConditioning)
  }
}
