import FlowCore
import FlowEngine
import FlowGraph
import FlowTestSupport
import Foundation
import Testing

@testable import FlowModels
@testable import FlowText

/// A tiny whole model and the images of diffusers' pipeline.
struct ModelFixture {
  let checkpoint: Checkpoint
  let golden: Golden
  let prompts: [String]
  let cases: [Case]

  /// One image of the pipeline.
  struct Case: Decodable {
    let prompt: String
    let seed: UInt64
    let steps: Int
    let guidance: Float
    let negative: String
    let width: Int
    let height: Int
    var strength: Float?
  }

  init(_ name: String) throws {
    checkpoint = try Checkpoint(folder: Bundle.module.fixture("pipelines/\(name)"))
    golden = try Golden("pipelines/\(name).safetensors", in: .module)
    prompts = try Self.value("prompts", in: golden)
    cases = try Self.value("cases", in: golden)
  }

  private static func value<Value: Decodable>(_ key: String, in golden: Golden) throws -> Value {
    try JSONDecoder().decode(Value.self, from: Data(try #require(golden.metadata[key]).utf8))
  }

  var family: any ModelFamily { checkpoint.family }

  /// The states of a prompt of one chunk.
  func states(of prompt: String) async throws -> TextStates {
    try await states(ofText: family.message(for: prompt))
  }

  private func states(ofText text: String) async throws -> TextStates {
    let encoding = family.textEncoders[0]
    let store = checkpoint.weights(of: .textEncoder(0))
    let chunks = encoding.chunks(of: text, syntax: .plain).chunks
    let program = try await Self.program(
      encoding.graph(skippedLayers: 0, weights: store.root), store)
    for (name, elements) in encoding.inputs(of: chunks[0]) {
      program.write(name, ContiguousArray(elements).span)
    }
    try program.run()
    let hidden = program.read("hidden", as: Float.self) { span in
      span.indices.map { span[$0] }
    }
    return try family.states(of: [
      EncodedText(
        width: encoding.width, hidden: hidden, pooled: [], chunkCount: chunks.count,
        tokenCount: chunks[0].endIndex + 1)
    ])
  }

  /// The image of a case, in the order of a diffusers' pipeline: one image at a time, each of its
  /// predictions alone.
  func image(_ index: Int) async throws -> [UInt8] {
    let work = cases[index]
    let (latentSpace, factor) = (family.latentSpace, checkpoint.autoencoder.factor)
    let (height, width) = (work.height / factor, work.width / factor)
    let size = PixelSize(width: work.width, height: work.height)
    let message = family.message(for: work.prompt)
    let texts = work.guidance == 1 ? [message] : [message, work.negative]
    var predictions: [(Program, Conditioning)] = []
    let store = checkpoint.networkWeights
    for text in texts {
      let conditioning = family.conditioning(
        of: try await states(ofText: text), guidanceScale: work.guidance, size: size)
      let graph = try family.network(
        BatchShape(
          rows: 1, height: height, width: width,
          tokens: conditioning.chunkCount * family.chunkTokenCount), precomputed: [],
        adapters: [], weights: store.root)
      predictions.append((try await Self.program(graph, store), conditioning))
    }
    let tokens = family.imageTokenCount(latentPixels: height * width)
    let schedule = checkpoint.scheduler.schedule(
      .flowMatching, spacing: family.spacing, imageTokenCount: tokens,
      shift: family.timeShift(stepCount: work.steps, imageTokenCount: tokens))
    let plan = try schedule.plan(stepCount: work.steps, solver: .euler, strength: 1)
    var sample = try golden.floats("\(index).latents")
    #expect(sample.count == latentSpace.channels * height * width)
    for row in plan.rows {
      var outputs: [[Float]] = []
      for (program, conditioning) in predictions {
        program.write("sample", ContiguousArray(sample).span)
        program.write("timestep", ContiguousArray([row.timestep]).span)
        for input in conditioning.inputs { program.write(input.name, input.elements.span) }
        try program.run()
        outputs.append(
          program.read("output", as: Float.self) { span in span.indices.map { span[$0] } })
      }
      let velocity =
        outputs.count == 1
        ? outputs[0] : zip(outputs[0], outputs[1]).map { $1 + work.guidance * ($0 - $1) }
      sample = zip(sample, velocity).map { Float(row.sample) * $0 + Float(row.output) * $1 }
    }
    let weights = checkpoint.autoencoderWeights
    let decoder = try await Self.program(
      Autoencoder(configuration: checkpoint.autoencoder, weights: weights.root)
        .decoderGraph(rows: 1, height: height, width: width), weights)
    decoder.write("latents", ContiguousArray(sample).span)
    try decoder.run()
    return decoder.read("pixels", as: UInt8.self) { span in span.indices.map { span[$0] } }
  }

  private static func program(_ graph: Graph, _ store: WeightStore) async throws -> Program {
    try await Program.shared(GraphModule(graph, weightsIdentity: store.identity))
  }
}
