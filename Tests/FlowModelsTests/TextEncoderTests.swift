import FlowCore
import FlowEngine
import FlowGraph
import FlowTestSupport
import Foundation
import Testing

@testable import FlowModels

/// Text encoders against transformers, on tiny seeded models
/// (`Scripts/fixtures/text_encoders.py`).
@Suite(.tags(.engine)) struct TextEncoderTests {
  private static func configuration(_ name: String) throws -> ConfigurationFile {
    try ConfigurationFile(path: Bundle.module.fixture("text-encoders/\(name)/config.json"))
  }

  private static func store(_ name: String) throws -> WeightStore {
    try WeightStore(folder: Bundle.module.fixture("text-encoders/\(name)"), stem: "model")
  }

  private static func golden(_ name: String) throws -> Golden {
    try Golden("text-encoders/\(name)/golden.safetensors", in: .module)
  }

  private static func run(
    _ graph: Graph, _ store: WeightStore, _ inputs: [[Float]]
  ) async throws -> [Float] {
    let program = try await Program.shared(
      GraphModule(graph, weightsIdentity: store.identity))
    for (index, numbers) in inputs.enumerated() {
      program.withInput(index, as: Int64.self) {
        for place in $0.indices { $0[place] = Int64(numbers[place]) }
      }
    }
    try program.run()
    return program.read(0, as: Float.self) { span in span.indices.map { span[$0] } }
  }

  @Test("T5's encoder of short and long texts, padding among them", arguments: [true, false])
  func t5(hasSharedTable: Bool) async throws {
    let configuration = try T5Configuration(Self.configuration("t5"))
    let store = try configuration.weights(
      Self.store("t5").renamed {
        !hasSharedTable && $0 == "shared.weight" ? "encoder.embed_tokens.weight" : $0
      })
    let golden = try Self.golden("t5")
    for index in 0..<3 {
      let shape = try golden.shape("\(index).tokens")
      let graph = try T5Text(configuration: configuration, weights: store.root)
        .graph(rows: shape[0], tokenCount: shape[1])
      let hidden = try await Self.run(graph, store, [golden.floats("\(index).tokens")])
      expectClose(hidden, try golden.floats("\(index).hidden"), relativeTolerance: 2e-6)
    }
  }

  @Test("Encoders in GGUF, by llama.cpp's names, give what transformers gives")
  func gguf() async throws {
    func store(_ name: String) throws -> WeightStore {
      try WeightStore(file: Bundle.module.fixture("text-encoders/\(name)/model.gguf"))
    }
    let t5 = try T5Configuration(Self.configuration("t5"))
    let shape = try Self.golden("t5").shape("0.tokens")
    let weights = try t5.weights(store("t5"))
    #expect(weights.architecture == "t5encoder")
    let hidden = try await Self.run(
      T5Text(configuration: t5, weights: weights.root)
        .graph(rows: shape[0], tokenCount: shape[1]), weights,
      [Self.golden("t5").floats("0.tokens")])
    expectClose(hidden, try Self.golden("t5").floats("0.hidden"), relativeTolerance: 2e-6)

    let qwen = try Qwen3Configuration(Self.configuration("qwen3"))
    let golden = try Self.golden("qwen3")
    let layers = try qwen.weights(store("qwen3"))
    let tokens = try golden.shape("0.tokens")
    let states = try await Self.run(
      Qwen3Text(configuration: qwen, weights: layers.root)
        .graph(rows: tokens[0], tokenCount: tokens[1], states: [1, 2, 3]), layers,
      [golden.floats("0.tokens"), golden.floats("0.mask")])
    expectClose(states, try golden.floats("0.joined"), relativeTolerance: 5e-6)
  }

  @Test("Distances between tokens are sorted as T5 sorts them")
  func buckets() {
    let buckets = T5Buckets(count: 32, distance: 128)
    let starts = [0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 23, 32, 46, 64, 91]
    for length in 0...600 {
      let expected = (starts.firstIndex { $0 > length } ?? starts.count) - 1
      #expect(buckets.bucket(of: -length) == expected, "\(length)")
      #expect(buckets.bucket(of: length) == expected + (length > 0 ? 16 : 0), "\(length)")
    }
  }

  @Test(
    "Qwen3's hidden states, one and several, padding among the tokens",
    arguments: ["qwen3", "qwen3-bare"])
  func qwen3(name: String) async throws {
    let configuration = try Qwen3Configuration(Self.configuration(name))
    let store = try configuration.weights(Self.store(name))
    let golden = try Self.golden(name)
    let states = ["penultimate": [3], "last": [4], "joined": [1, 2, 3], "ends": [4, 0]]
    for index in 0..<2 {
      let shape = try golden.shape("\(index).tokens")
      for (key, states) in states {
        let graph = try Qwen3Text(configuration: configuration, weights: store.root)
          .graph(rows: shape[0], tokenCount: shape[1], states: states)
        let hidden = try await Self.run(
          graph, store, [golden.floats("\(index).tokens"), golden.floats("\(index).mask")])
        expectClose(hidden, try golden.floats("\(index).\(key)"), relativeTolerance: 5e-6)
      }
    }
  }
}
