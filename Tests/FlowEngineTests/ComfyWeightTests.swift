import FlowCore
import FlowEngine
import FlowTestSupport
import Foundation
import Testing

@testable import FlowGraph

/// Single files as ComfyUI writes them, against what its own package reads.
@Suite(.tags(.engine)) struct ComfyWeightTests {
  private static let integers = ["tensor", "rows", "turned", "turned16"]

  private let floats: WeightStore

  init() throws { floats = try Self.store("comfy-floats") }

  private static func store(_ name: String) throws -> WeightStore {
    try WeightStore(file: Bundle.module.fixture("\(name).safetensors"))
  }

  private func run(_ store: WeightStore, _ name: String) throws -> [Float] {
    let graph = Graph(name: "comfy")
    let width = try store.root[name].shape(of: "weight")[1]
    let input = graph.input("x", shape: [1, 4, width])
    graph.output(try input.linear(store.root[name]), as: "y")
    let program = try Program.compiled(GraphModule(graph, weightsIdentity: store.identity))
    program.withInput(0, as: Float.self) { x in
      for index in x.indices { x[index] = Float((index * 37) % 101) / 50 - 1 }
    }
    try program.run()
    return program.read(0, as: Float.self) { span in span.indices.map { span[$0] } }
  }

  @Test(
    "Scaled 8-bit floats in both layouts are what ComfyUI reads, bit for bit",
    arguments: ["comfy", "comfy-scaled"])
  func floats(file: String) throws {
    let store = try Self.store(file)
    for name in ["e4m3", "e5m2"] {
      let weight = try store.root[name].stored("weight")
      let expected = try floats.root[name].stored("weight")
      #expect(try weight.floats().map(\.bitPattern) == expected.floats().map(\.bitPattern))
      #expect(try run(store, name).map(\.bitPattern) == run(floats, name).map(\.bitPattern))
    }
    #expect(!store.weights.keys.contains { !$0.hasSuffix(".weight") })
  }

  @Test(
    "Scaled 8-bit whole numbers, plain and rotated, are what ComfyUI reads",
    arguments: ["comfy", "comfy-header"])
  func integers(file: String) throws {
    let store = try Self.store(file)
    #expect(!store.weights.keys.contains { !$0.hasSuffix(".weight") })
    for name in Self.integers {
      let weight = try store.root[name].stored("weight")
      let expected = try floats.root[name].stored("weight").floats()
      #expect(weight.typeName == "I8" && !weight.isInteger)
      expectClose(try weight.floats(), expected, relativeTolerance: 1e-6)
      expectClose(
        try weight.rows(5..<7).floats(),
        Array(expected[5 * weight.shape[1]..<7 * weight.shape[1]]), relativeTolerance: 1e-6)
      let product = try run(floats, name)
      expectClose(try run(store, name), product, relativeTolerance: 1e-6)
      let stored = store.compressed(to: .stored, from: 1)
      #expect(try stored.root[name].packing?.bitCount == 8)
      expectClose(try run(stored, name), product, relativeTolerance: 1e-5)
      expectClose(
        try run(store.compressed(to: .int8, from: 1), name), product, relativeTolerance: 2e-2)
    }
  }

  @Test("A rotation is its own inverse, and the matrix that graphs multiply by")
  func rotation() {
    for size in [4, 16, 64, 256] {
      let row = (0..<2 * size).map { Float(($0 * 29) % 17) - 8 }
      var turned = row
      HadamardRotation.turn(&turned, groupSize: size)
      let matrix = HadamardRotation.matrix(size)
      let product = (0..<2 * size).map { index in
        (0..<size).reduce(Float(0)) {
          $0 + row[index / size * size + $1] * matrix[$1 * size + index % size]
        }
      }
      expectClose(turned, product, relativeTolerance: 1e-6)
      HadamardRotation.turn(&turned, groupSize: size)
      expectClose(turned, row, relativeTolerance: 1e-6)
    }
  }

  @Test("Whole numbers by a rule that is not known are refused where they are used")
  func unknown() throws {
    let folder = try TemporaryFolder()
    let scale = SafetensorsWriter.bytes(of: [1])
    for text in [
      #"{"format":"asym_w4a8_int8"}"#, #"{"format":"int8_tensorwise","convrot":true}"#, "{",
      #"{"format":"int8_tensorwise","convrot":true,"convrot_groupsize":2}"#,
    ] {
      let path = try folder.write(
        SafetensorsWriter.file(typed: [
          ("a.weight", "I8", [1, 2], [1, 2]), ("a.weight_scale", "F32", [], scale),
          ("a.comfy_quant", "U8", [text.utf8.count], Array(text.utf8)),
        ]), as: "unknown.safetensors")
      let error = #expect(throws: GraphError.self) { try run(WeightStore(file: path), "a") }
      #expect(error?.code == .typeUnsupported)
      #expect(error?.message.contains("'a.weight' is stored as I8 where floating") == true)
    }
  }
}
