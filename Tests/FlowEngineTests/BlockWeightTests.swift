import FlowCore
import FlowEngine
import FlowTestSupport
import Foundation
import Testing

@testable import FlowGraph

/// Weights in blocks of few bits, against what the format's own package reads them as.
@Suite(.tags(.engine)) struct BlockWeightTests {
  private static let kinds = ["Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q4_K", "Q5_K", "Q6_K"]

  private let blocks: WeightStore
  private let floats: WeightStore

  init() throws {
    blocks = try WeightStore(file: Bundle.module.fixture("blocks.gguf"))
    floats = try WeightStore(file: Bundle.module.fixture("blocks.safetensors"))
  }

  private func run(
    _ store: WeightStore, shape: Shape, _ build: (Value, WeightScope) throws -> Value
  ) throws -> [Float] {
    let graph = Graph(name: "blocks")
    graph.output(try build(graph.input("x", shape: shape), store.root), as: "output")
    let program = try Program.compiled(GraphModule(graph, weightsIdentity: store.identity))
    var state: UInt32 = 1
    program.withInput(0, as: Float.self) { x in
      for index in x.indices {
        state = state &* 1_664_525 &+ 1_013_904_223
        x[index] = Float(state >> 8) / Float(1 << 23) - 1
      }
    }
    try program.run()
    return program.read(0, as: Float.self) { span in span.indices.map { span[$0] } }
  }

  /// Fully connected layers of every kind, an embedding, a convolution and a normalization.
  private func network(_ x: Value, _ root: WeightScope) throws -> Value {
    let graph = x.graph
    let positions = graph.integers([0, 5, 31])
    let words = try positions.embedding(root["table"]).reshaped([1, 3, 256])
    let normal = try (x + words).rmsNorm(root["norm"], epsilon: 1e-6)
    let parts = try Self.kinds.map { try normal.linear(root["layers"][$0]) }
    let joined = try Value.concatenated(parts, axis: -1)
    let image = try joined.reshaped([2, 4, 8, 12]).convolution(root["conv"], padding: 1)
    let output = try joined.silu().linear(root["output"])
    return try .concatenated(
      [image.reshaped([2, 768]), output.reshaped([2, 24])], axis: -1)
  }

  @Test("Every type is what the format's package reads, bit for bit")
  func golden() throws {
    #expect(blocks.weights.keys.sorted() == floats.weights.keys.sorted())
    for (name, weight) in blocks.weights {
      let expected = try #require(floats.weights[name])
      #expect(weight.shape == expected.shape, "\(name)")
      #expect(
        try weight.floats().map(\.bitPattern) == expected.floats().map(\.bitPattern), "\(name)")
    }
    let types = Set(blocks.weights.values.map(\.typeName))
    #expect(types == Set(Self.kinds + ["F32", "F16", "BF16"]))
  }

  @Test("A file gives its architecture, its settings and the original shapes")
  func settings() throws {
    let file = try GGUF(path: Bundle.module.fixture("blocks.gguf"))
    #expect(file.architecture == "flux" && blocks.architecture == "flux")
    #expect(file.settings["some.list"] == .list([.integer(1), .integer(2), .integer(3)]))
    #expect(file.settings["some.number"] == .number(0.5))
    #expect(file.settings["some.truth"] == .bool(true))
    #expect(file.settings["tokenizer.ggml.tokens"] == .longList(count: 100))
    #expect(file.tensors["conv.weight"]?.shape == [8, 4, 3, 3])
  }

  @Test("A network with expanded weights gives what the floats of the format's package give")
  func expanded() throws {
    let expected = try run(floats, shape: [2, 3, 256], network)
    let actual = try run(blocks, shape: [2, 3, 256], network)
    #expect(actual.map(\.bitPattern) == expected.map(\.bitPattern))
    #expect(Set(expected).count > 500)
  }

  @Test("A network with weights in few bits gives what floats give, to their rounding")
  func packed() throws {
    let packed = blocks.compressed(to: .stored, from: 1)
    let actual = try run(packed, shape: [2, 3, 256], network)
    let expected = try run(floats, shape: [2, 3, 256], network)
    expectClose(actual, expected, relativeTolerance: 1e-5)
    #expect(actual != expected)
    for kind in Self.kinds {
      let layer = { (x: Value, root: WeightScope) in try x.linear(root["layers"][kind]) }
      expectClose(
        try run(packed, shape: [1, 3, 256], layer), try run(floats, shape: [1, 3, 256], layer),
        relativeTolerance: 1e-5)
    }
  }

  @Test("Rows of a table that is held in 8 bits are those of its floats, bit for bit")
  func table() throws {
    func looked(_ store: WeightStore, _ layer: String) throws -> [Float] {
      try run(store, shape: [1, 4, 256]) { x, root in
        let words = try x.graph.integers([0, 15, 3, 0]).embedding(root["layers"][layer])
        return try x * 0 + words.reshaped([1, 4, 256])
      }
    }
    let packed = blocks.compressed(to: .stored, from: 1)
    for kind in Self.kinds {
      let (actual, expected) = (try looked(packed, kind), try looked(floats, kind))
      expectClose(actual, expected, relativeTolerance: 1e-6)
      if kind != "Q5_1" && kind != "Q5_K" { #expect(actual == expected, "\(kind)") }
    }
    let graph = Graph(name: "table")
    let words = try graph.integers([1]).embedding(packed.root["table"])
    graph.output(words, as: "y")
    let module = GraphModule(graph, weightsIdentity: packed.identity)
    #expect(module.derived.map(\.elements) == [.int8, .float32] && module.weights.isEmpty)
  }

  @Test("Every float16 is the number that its bits stand for")
  func halves() {
    let wrong = (UInt16.min...UInt16.max).filter { bits in
      let (exponent, mantissa) = (Int(bits >> 10 & 0x1f), Float(bits & 0x3ff))
      let float = Weight.float(ofHalf: bits)
      if exponent == 0x1f, mantissa > 0 { return !float.isNaN }
      let magnitude =
        switch exponent {
        case 0: mantissa * 0x1p-24
        case 0x1f: Float.infinity
        default: (1024 + mantissa) * Float(sign: .plus, exponent: exponent - 25, significand: 1)
        }
      return float.magnitude != magnitude || (float.sign == .minus) != (bits >> 15 == 1)
    }
    #expect(wrong.isEmpty)
  }

  @Test("Part of a layer in few bits is the same part of its outputs", arguments: kinds)
  func parts(kind: String) throws {
    let packed = blocks.compressed(to: .stored, from: 1)
    let whole = try run(packed, shape: [1, 3, 256]) { try $0.linear($1["layers"][kind]) }
    let parts = try run(packed, shape: [1, 3, 256]) { x, root in
      let layer = root["layers"][kind]
      return try .concatenated(
        [x.linear(layer, outputs: 0..<5), x.linear(layer, outputs: 5..<16)], axis: -1)
    }
    expectClose(parts, whole, relativeTolerance: 1e-6)
  }

  @Test("What a graph carries are numbers in few bits and scales, named the same in every process")
  func module() throws {
    let store = blocks.compressed(to: .stored, from: 1)
    let graph = Graph(name: "one")
    let x = graph.input("x", shape: [1, 3, 256])
    graph.output(try x.linear(store.root["layers"]["Q4_0"]), as: "y")
    let module = GraphModule(graph, weightsIdentity: store.identity)
    #expect(module.weights.map(\.typeName) == ["F16"])
    #expect(module.derived.map(\.elements) == [.int4, .float32])
    // Half a byte a weight, four bytes for each 32, and the bias.
    #expect(module.weightsByteCount == 16 * 256 / 2 + 16 * 8 * 4 + 32)
    #expect(
      try module.onnx(locatingWeightsBy: .file) == module.onnx(locatingWeightsBy: .file))
    #expect(store.identity != blocks.identity)
  }

  @Test("Names of text encoders are those of Hugging Face, as the format's package has them")
  func names() throws {
    let data = try Data(contentsOf: URL(filePath: Bundle.module.fixture("gguf-names.json")))
    let towers = try JSONDecoder().decode([String: [String: String]].self, from: data)
    #expect(towers.keys.sorted() == ["qwen3", "t5encoder"])
    for (architecture, names) in towers {
      for (name, expected) in names {
        #expect(
          GGUFNames.original(name, architecture: architecture, isGated: true) == expected)
        #expect(GGUFNames.original(name, architecture: nil, isGated: true) == name)
        #expect(GGUFNames.original(name, architecture: "flux", isGated: true) == name)
      }
    }
    #expect(
      GGUFNames.original("enc.blk.2.ffn_up.weight", architecture: "t5encoder", isGated: false)
        == "encoder.block.2.layer.1.DenseReluDense.wi.weight")
    #expect(GGUFNames.original("odd", architecture: "qwen3", isGated: true) == "odd")
    #expect(
      GGUFNames.original("blk.0.new.weight", architecture: "qwen3", isGated: true)
        == "blk.0.new.weight")
  }
}
