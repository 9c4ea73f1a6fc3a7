import FlowCore
import FlowEngine
import FlowGraph
import FlowTestSupport
import FlowText
import Foundation
import Testing

@testable import FlowModels

/// What a tiny Stable Diffusion 3 makes of prompts, against diffusers' pipelines.
@Suite(.tags(.engine)) struct SD3ImageTests {
  @Test("The states of three text encoders are put together as diffusers does")
  func states() async throws {
    let checkpoint = try Checkpoint(folder: SD3Pipeline.folder)
    let golden = try Golden("pipelines/sd3.safetensors", in: .module)
    let prompts = try JSONDecoder().decode(
      [String].self, from: Data(try #require(golden.metadata["prompts"]).utf8))
    for (index, prompt) in prompts.enumerated() {
      let states = try await SD3Pipeline.states(of: prompt, checkpoint)
      expectClose(
        states.hidden, try golden.floats("text.\(index).hidden"), relativeTolerance: 1e-5)
      expectClose(
        states.pooled, try golden.floats("text.\(index).pooled"), relativeTolerance: 1e-5)
      #expect(states.chunkCount == 1 && states.width == 40)
    }
  }

  @Test("Without T5 the network reads one token of zeros that stands for as many as T5 has")
  func withoutT5() async throws {
    let temporary = try TemporaryFolder()
    let checkpoint = try Checkpoint(folder: SD3Pipeline.withoutT5(in: temporary))
    #expect(checkpoint.textEncoders.count == 2)
    let golden = try Golden("pipelines/sd3.safetensors", in: .module)
    let states = try await SD3Pipeline.states(of: "a fox on a blue background", checkpoint)
    #expect(states.hidden.count == (24 + 1) * 40)
    let family = try #require(checkpoint.family as? StableDiffusion3)
    #expect(family.transformer.lastTextTokenCount == 256 && family.chunkTokenCount == 24 + 1)
    #expect(states.hidden[(24 * 40)...].allSatisfy { $0 == 0 })
    expectClose(
      Array(states.hidden[..<(2 * 40)]), try golden.floats("text.0.withoutT5"),
      relativeTolerance: 1e-5)
  }

  /// An image of diffusers' pipeline.
  private struct Case: Decodable {
    let prompt: String
    let negative: String
    let seed: UInt64
    let steps: Int
    let guidance: Float
    let width: Int
    let height: Int
    let strength: Double?
    let withoutT5: Bool
  }

  /// The latents that an image begins with: noise, or an image's own latents with some.
  private static func start(
    _ item: Case, _ index: Int, shape: Shape, sigma: Float, _ checkpoint: Checkpoint,
    _ golden: Golden
  ) async throws -> [Float] {
    var noise = GaussianNoise(seed: item.seed)
    guard item.strength != nil else { return noise.latents(shape: shape).scalars }
    let (mean, deviation) = try await SD3Pipeline.encoded(
      golden.floats("\(index).source"), shape: shape, checkpoint)
    // Diffusers draws a sample around the latents' mean first.
    let drawn = noise.latents(shape: shape).scalars
    let latents = mean.indices.map { mean[$0] + deviation[$0] * drawn[$0] }
    let added = noise.latents(shape: shape).scalars
    return zip(latents, added).map { (1 - sigma) * $0 + sigma * $1 }
  }

  @Test("Images from text and from images are those of diffusers' pipelines", arguments: 0..<6)
  func image(index: Int) async throws {
    let golden = try Golden("pipelines/sd3.safetensors", in: .module)
    let cases = try JSONDecoder().decode(
      [Case].self, from: Data(try #require(golden.metadata["cases"]).utf8))
    #expect(cases.count == 6 && cases.count { $0.strength != nil } == 2)
    let item = cases[index]
    let temporary = try TemporaryFolder()
    let checkpoint = try Checkpoint(
      folder: item.withoutT5 ? SD3Pipeline.withoutT5(in: temporary) : SD3Pipeline.folder)
    let size = PixelSize(width: item.width, height: item.height)
    let shape: Shape = [16, size.height / 4, size.width / 4]
    var texts = [try await SD3Pipeline.states(of: item.prompt, checkpoint)]
    if item.guidance > 1 {
      texts.append(try await SD3Pipeline.states(of: item.negative, checkpoint))
    }
    let plan = try checkpoint.scheduler.schedule(
      .flowMatching, spacing: checkpoint.family.spacing, imageTokenCount: 16, shift: nil
    ).plan(stepCount: item.steps, solver: .euler, strength: item.strength ?? 1)
    let times = plan.rows.map(\.timestep)
    var sample = try await Self.start(
      item, index, shape: shape, sigma: times[0] / 1000, checkpoint, golden)
    for (time, next) in zip(times, times.dropFirst() + [0]) {
      let outputs = try await SD3Pipeline.velocities(sample, time, texts, size: size, checkpoint)
      for place in sample.indices {
        var velocity = outputs[0][place]
        if item.guidance > 1 {
          velocity = outputs[1][place] + item.guidance * (velocity - outputs[1][place])
        }
        sample[place] += (next - time) / 1000 * velocity
      }
    }
    let pixels = try await SD3Pipeline.pixels(of: sample, shape: shape, checkpoint)
    expectClose(pixels, try golden.floats("\(index).pixels"), tolerance: 1)
  }
}
