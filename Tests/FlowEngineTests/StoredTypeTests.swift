import FlowCore
import FlowEngine
import FlowTestSupport
import Foundation
import Testing

@testable import FlowGraph

/// Weights of every stored type and place, as the engine reads them.
@Suite(.tags(.engine)) struct StoredTypeTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  /// What the engine makes of a weight that is added to zeros.
  private func engineFloats(
    _ store: WeightStore, _ name: String, on backend: TestBackend
  ) throws -> [Float] {
    let weight = try store.root.stored(name)
    let graph = Graph(name: "stored")
    let input = graph.input("input", shape: weight.shape)
    graph.output(try input + graph.value(of: weight), as: "output")
    let session = try Program.compiled(
      GraphModule(graph, weightsIdentity: store.identity), on: backend)
    session.withInput(0, as: Float.self) { for index in $0.indices { $0[index] = 0 } }
    try session.run()
    return session.read(0, as: Float.self) { span in span.indices.map { span[$0] } }
  }

  @Test(
    "Every 8-bit float is the number that torch reads", arguments: ["e4m3", "e5m2"], TestBackend.all
  )
  func float8(name: String, backend: TestBackend) throws {
    let golden = try Golden("float8.safetensors", in: .module)
    let expected = try golden.floats("\(name).float")
    let store = try WeightStore(file: Bundle.module.fixture("float8.safetensors"))
    let actual = try store.root.stored(name).floats()
    let engine = try engineFloats(store, name, on: backend)
    #expect(expected.count == 256)
    for code in 0..<256 {
      let number = expected[code]
      #expect(number.isNaN ? actual[code].isNaN : actual[code] == number, "\(code)")
      #expect(number.isNaN ? engine[code].isNaN : engine[code] == number, "engine: \(code)")
    }
  }

  @Test(
    "Scales of 8-bit floats multiply them: one number, or one for each row",
    arguments: TestBackend.all)
  func scales(backend: TestBackend) throws {
    let bytes: [UInt8] = [0x38, 0x40, 0x44, 0xb8, 0xc0, 0xc4]  // 1, 2, 3, -1, -2, -3
    let (one, rows) = (SafetensorsWriter.bytes(of: [0.5]), SafetensorsWriter.bytes(of: [2, 10]))
    let path = try folder.write(
      SafetensorsWriter.file(typed: [
        ("a.weight", "F8_E4M3", [2, 3], bytes), ("a.scale_weight", "F32", [], one),
        ("a.scale_input", "F32", [], one), ("scaled_fp8", "F8_E4M3", [0], []),
        ("b.weight", "F8_E4M3", [2, 3], bytes), ("b.weight_scale", "F32", [2, 1], rows),
        ("b.comfy_quant", "U8", [2], [0x7b, 0x7d]), ("c.weight", "F8_E4M3", [2, 3], bytes),
        ("c.weight_scale", "F32", [1, 3], one + rows),
      ]), as: "scaled.safetensors")
    let store = try WeightStore(file: path)
    #expect(store.weights.keys.sorted() == ["a.weight", "b.weight", "c.weight"])
    let halves: [Float] = [0.5, 1, 1.5, -0.5, -1, -1.5]
    #expect(try store.root["a"].stored("weight").floats() == halves)
    #expect(try engineFloats(store, "a.weight", on: backend) == halves)
    let scaled: [Float] = [2, 4, 6, -10, -20, -30]
    let weight = try store.root["b"].stored("weight")
    #expect(try weight.floats() == scaled)
    #expect(try engineFloats(store, "b.weight", on: backend) == scaled)
    #expect(try weight.rows(1..<2).floats() == [-10, -20, -30])
    #expect(try weight.transposed().floats() == [2, -10, 4, -20, 6, -30])
    let error = #expect(throws: GraphError.self) {
      try engineFloats(store, "c.weight", on: backend)
    }
    #expect(error?.code == .typeUnsupported)
    #expect(error?.message.contains("its scale 'c.weight_scale' is [1, 3] of F32") == true)
  }

  @Test(
    "A quantized integer weight is refused where it is used, with its name and type",
    arguments: TestBackend.all)
  func integers(backend: TestBackend) throws {
    let path = try folder.write(
      SafetensorsWriter.file(typed: [
        ("a.weight", "I8", [2], [1, 2]),
        ("a.weight_scale", "F32", [], SafetensorsWriter.bytes(of: [1])),
      ]), as: "int8.safetensors")
    let error = #expect(throws: GraphError.self) {
      try engineFloats(WeightStore(file: path), "a.weight", on: backend)
    }
    #expect(error?.message.contains("'a.weight' is stored as I8 where floating-point") == true)
  }

  @Test(
    "The engine reads weights off their alignment from a copy, which is shared and then freed",
    arguments: TestBackend.all)
  func unaligned(backend: TestBackend) throws {
    let scalars = (0..<64).map { Float($0) * 0.25 }
    let path = try folder.write(
      SafetensorsWriter.file(
        typed: [
          ("alpha", "F16", [], [0, 0x3c]),
          ("a", "F32", [64], SafetensorsWriter.bytes(of: scalars)), ("odd", "F4", [1], [0]),
          ("b", "F16", [2], [0, 0x3c, 0, 0xc4]),
        ], misalignment: 1), as: "unaligned.safetensors")
    let store = try WeightStore(file: path)
    let file = try store.root.stored("a").file
    #expect(try engineFloats(store, "a", on: backend) == scalars)
    #expect(try engineFloats(store, "b", on: backend) == [1, -4])
    #expect(file.alignedCopyCount == 0)

    let copies = (AlignedCopies(), AlignedCopies())
    let address = try copies.0.address(of: store.root.stored("a"))
    #expect(address.isMultiple(of: 64))
    #expect(try copies.1.address(of: store.root.stored("a")) == address)
    #expect(file.alignedCopyCount == 1)
  }
}
