import FlowCore
import FlowEngine
import FlowGraph
import FlowTestSupport
import Foundation
import Testing

@testable import FlowModels
@testable import FlowText
@testable import StreamFlow

/// What weighted prompts and prompts of several chunks come to.
@Suite(.tags(.engine)) struct PromptTests {
  private static func conditioner() async throws -> Conditioner {
    let checkpoint = try Checkpoint.starter64()
    return Conditioner(
      checkpoint,
      prompts: try await .make(
        checkpoint, skippedLayers: 0, provider: EngineProvider(.ofTests)),
      size: PixelSize(width: 64, height: 64), table: nil)
  }

  @Test("Weighted prompts in chunks give what the web UI's rules give with transformers")
  func golden() async throws {
    let golden = try Golden("prompts.safetensors", in: .module)
    let prompts = try JSONDecoder().decode(
      [String].self, from: Data(try #require(golden.metadata["prompts"]).utf8))
    #expect(prompts.count == 12)
    let conditioner = try await Self.conditioner()
    for (index, prompt) in prompts.enumerated() {
      let conditioning = try conditioner.conditioning(of: prompt, .weighted)
      #expect(try conditioning.chunkCount * 40 == golden.shape("\(index)")[0], "\(prompt)")
      // Float32 sums in different orders; 1e-6 is observed.
      expectClose(
        try #require(conditioning.elements(of: "hidden")).map { $0 }, try golden.floats("\(index)"),
        relativeTolerance: 1e-4)
    }
  }

  @Test("Weighed states keep a mean that means something, and are only weighed where none does")
  func mean() throws {
    let golden = try Golden("prompts.safetensors", in: .module)
    let weights = try golden.floats("weights")
    let chunk = ChunkedPrompt.Chunk(
      tokens: weights.indices.map { $0 }, endIndex: 7, weights: weights)
    var hidden = try golden.floats("states")
    let mean = hidden.reduce(0, +)
    chunk.weigh(&hidden)
    expectClose(hidden, try golden.floats("weighed"), relativeTolerance: 1e-6)
    #expect(abs(hidden.reduce(0, +) / mean - 1) < 1e-4)  // 384 roundings of partly opposite sums
    let pair = ChunkedPrompt.Chunk(tokens: [0, 1], endIndex: 1, weights: [1, 2])
    for (before, after) in [
      ([4, 2], [3, 3]), ([-4, 2], [-4, 4]), ([2, -1], [2, -2]), ([1, -1], [1, -2]),
    ] as [([Float], [Float])] {
      var hidden = before
      pair.weigh(&hidden)
      #expect(hidden == after)
    }
  }

  @Test("Weights of 1 change nothing, bit for bit")
  func weights() async throws {
    let conditioner = try await Self.conditioner()
    let plain = try conditioner.hidden(of: "a fox on blue", .plain)
    for prompt in ["a fox on blue", "(a fox:1) on [(blue)]"] {
      #expect(try conditioner.hidden(of: prompt, .weighted) == plain)
    }
    let weighted = try conditioner.hidden(of: "a (fox) on blue", .weighted)
    #expect(weighted != plain)
    #expect(
      try conditioner.hidden(of: "a (fox) on blue", .plain)
        == conditioner.hidden(of: #"a \(fox\) on blue"#, .weighted))
  }

  @Test("A conditioning that is repeated gives the velocity that it gives alone")
  func repetition() async throws {
    let checkpoint = try Checkpoint.starter64()
    let conditioning = try await Self.conditioner().conditioning(
      of: "a (fox:1.2) on blue", .weighted)
    let blueprint = try NetworkBlueprint(
      checkpoint, height: 16, width: 16, precomputed: [], provider: EngineProvider(.ofTests))
    let network = VelocityNetwork(blueprint, times: nil, rowCapacity: 1)
    var noise = GaussianNoise(seed: 5)
    let sample = noise.latents(shape: [4, 16, 16])
    var outputs: [[Float]] = []
    for chunks in [1, 2, 3, 1] {
      network.structure.chunks = chunks
      try await network.prepare(rowCount: 1)
      network.begin(rowCount: 1)
      network.load(
        row: 0, sample: sample.scalars.span, timestep: 700, conditioning: conditioning)
      try network.run()
      network.withOutput(row: 0) { output in
        outputs.append(output.indices.map { output[$0] })
      }
    }
    #expect(outputs[0] == outputs[3])
    for output in outputs[1...2] {
      // The softmax sums twice as many terms: only roundings differ.
      expectClose(output, outputs[0], relativeTolerance: 1e-5)
    }
    // One program a count: the first is taken again.
    #expect(blueprint.provider.log.made.count == 3)
  }

  @Test("Of a blend that moves the last few mixes are kept, and a prompt beside it stays")
  func movingBlend() async throws {
    let conditioner = try await Self.conditioner()
    var request = GenerationRequest(prompt: "fox")
    _ = try conditioner.prompted(request)
    for step in 0..<20 {
      request.blend = PromptBlend([.init(prompt: "sushi", weight: Float(step) / 20)])
      _ = try conditioner.prompted(request)
    }
    #expect(conditioner.keptCounts == (prompts: 1, mixes: 8))
  }

  @Test("Text encoders that split a prompt differently are an error that says what to do")
  func differingChunks() throws {
    let family = try Checkpoint.starter64().stableDiffusion
    func text(_ chunkCount: Int) -> EncodedText {
      let hidden = [Float](repeating: 0, count: chunkCount * 40 * family.textWidth)
      return EncodedText(
        width: family.textWidth, hidden: hidden, pooled: [], chunkCount: chunkCount, tokenCount: 40)
    }
    #expect(try family.states(of: [text(2)]).chunkCount == 2)
    let error = #expect(throws: ModelError.self) { try family.states(of: [text(1), text(2)]) }
    #expect(error?.code == .requestInvalid)
    #expect(error?.message.hasPrefix("the text encoders split a prompt into [1, 2] chunks") == true)
  }
}

extension Conditioner {
  fileprivate func conditioning(
    of prompt: String, _ syntax: PromptSyntax
  ) throws -> Conditioning {
    var request = GenerationRequest(prompt: prompt)
    request.promptSyntax = syntax
    return try prompted(request)
  }

  fileprivate func hidden(
    of prompt: String, _ syntax: PromptSyntax
  ) throws -> ContiguousArray<Float>? {
    try conditioning(of: prompt, syntax).elements(of: "hidden")
  }
}
