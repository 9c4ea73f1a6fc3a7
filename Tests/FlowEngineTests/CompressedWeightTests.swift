import FlowCore
import FlowEngine
import FlowTestSupport
import Foundation
import Testing

@testable import FlowGraph

/// Checkpoints in floats whose matrices engines hold in few bits.
@Suite(.tags(.engine)) struct CompressedWeightTests {
  private let folder: TemporaryFolder
  private let path: String
  private let store: WeightStore

  private static func numbers(_ count: Int, seed: UInt32 = 1) -> [Float] {
    var state = seed
    return (0..<count).map { _ in
      state = state &* 1_664_525 &+ 1_013_904_223
      return Float(state >> 8) / Float(1 << 23) - 1
    }
  }

  init() throws {
    folder = try TemporaryFolder()
    path = try folder.write(
      SafetensorsWriter.file([
        ("a.weight", [48, 256], Self.numbers(48 * 256)), ("a.bias", [48], Self.numbers(48)),
        ("b.weight", [16, 48], Self.numbers(16 * 48, seed: 2)),
        ("c.weight", [8, 16], Self.numbers(128)),
      ]), as: "floats.safetensors")
    store = try WeightStore(file: path)
  }

  private func run(
    _ store: WeightStore, on backend: TestBackend = .standard,
    _ build: (Value, WeightScope) throws -> Value
  ) throws -> [Float] {
    let graph = Graph(name: "compressed")
    graph.output(
      try build(graph.input("x", shape: [1, 5, 256]), store.root), as: "output")
    let program = try Program.compiled(
      GraphModule(graph, weightsIdentity: store.identity), on: backend)
    let scalars = Self.numbers(5 * 256, seed: 3)
    program.withInput(0, as: Float.self) { for i in $0.indices { $0[i] = scalars[i] } }
    try program.run()
    return program.read(0, as: Float.self) { span in span.indices.map { span[$0] } }
  }

  private func layer(_ x: Value, _ root: WeightScope) throws -> Value { try x.linear(root["a"]) }

  /// A store whose matrix `a` is what rounding makes of it, in floats.
  private func rounded(
    _ weights: [Float]? = nil, bits: Int, groupSize: Int
  ) throws -> WeightStore {
    let weights = try weights ?? store.root["a"].stored("weight").floats()
    var scalars: [Float] = []
    for start in stride(from: 0, to: weights.count, by: groupSize) {
      let group = weights[start..<start + groupSize]
      let extreme = group.max { $0.magnitude < $1.magnitude } ?? 0
      let scale = bits == 8 ? extreme.magnitude / 127 : extreme / -8
      scalars += group.map {
        min(max(($0 / scale).rounded(.toNearestOrEven), bits == 8 ? -127 : -8), bits == 8 ? 127 : 7)
          * scale
      }
    }
    let bias = try store.root["a"].stored("bias").floats()
    return try WeightStore(
      file: folder.write(
        SafetensorsWriter.file([("a.weight", [48, 256], scalars), ("a.bias", [48], bias)]),
        as: "rounded-\(bits).safetensors"))
  }

  @Test(
    "A layer in 8 or 4 bits gives what its rounded weights give in floats",
    arguments: [(.int8, 8, 256), (.int4, 4, 128)] as [(WeightCompression, Int, Int)],
    TestBackend.all)
  func rounding(_ form: (WeightCompression, Int, Int), backend: TestBackend) throws {
    let (compression, bits, groupSize) = form
    let actual = try run(store.compressed(to: compression, from: 1), on: backend, layer)
    let expected = try run(rounded(bits: bits, groupSize: groupSize), on: backend, layer)
    expectClose(actual, expected, relativeTolerance: 1e-5)
    let exact = try run(store, on: backend, layer)
    expectClose(actual, exact, relativeTolerance: bits == 8 ? 5e-3 : 8e-2)
    #expect(actual != exact)
  }

  @Test("What a module holds: numbers of large matrices, floats of all else")
  func module() throws {
    func module(_ compression: WeightCompression, from count: Int) throws -> GraphModule {
      let store = store.compressed(to: compression, from: count)
      let graph = Graph(name: "compressed")
      let x = graph.input("x", shape: [1, 5, 256])
      graph.output(
        try x.linear(store.root["a"]).linear(store.root["b"]).linear(store.root["c"]), as: "y")
      return GraphModule(graph, weightsIdentity: store.identity)
    }
    let eight = try module(.int8, from: 512)
    #expect(eight.weights.map(\.name).sorted() == ["a.bias", "c.weight"])
    #expect(eight.weightsByteCount == 4 * (48 + 128 + 48 + 16) + 48 * 256 + 16 * 48)
    let four = try module(.int4, from: 512)
    // 48 is no multiple of 32: that layer stays in floats.
    #expect(four.weights.map(\.name).sorted() == ["a.bias", "b.weight", "c.weight"])
    #expect(four.derived.map(\.elements) == [.int4, .float32])
    #expect(try module(.stored, from: 1).derived.isEmpty)
    #expect(Set([eight, four].map(\.weightsIdentity)).count == 2)
    #expect(
      try eight.onnx(locatingWeightsBy: .file)
        == module(.int8, from: 512).onnx(locatingWeightsBy: .file))
  }

  @Test("Adapters are added to the output of a layer in few bits, whole and in parts")
  func adapters() throws {
    let adapter = try folder.write(
      SafetensorsWriter.file([
        ("unet.a.lora_A.weight", [4, 256], Self.numbers(4 * 256, seed: 5)),
        ("unet.a.lora_B.weight", [48, 4], Self.numbers(48 * 4, seed: 6)),
        ("unet.b.lora_A.weight", [4, 48], Self.numbers(4 * 48, seed: 7)),
        ("unet.b.lora_B.weight", [16, 4], Self.numbers(16 * 4, seed: 8)),
      ]), as: "adapter.safetensors")
    func adapted(_ base: WeightStore) throws -> WeightStore {
      var stores: [LoRA.Component: WeightStore] = [.network: base]
      let applied = try LoRA(path: adapter).apply(
        scale: 0.7, to: &stores, names: [.network: LayerNames(base)])
      #expect(applied.appliedCount == 4)
      return try #require(stores[.network])
    }
    func layers(_ x: Value, _ root: WeightScope) throws -> Value {
      let a = root["a"]
      return try Value.concatenated(
        [x.linear(a, outputs: 0..<20), x.linear(a, outputs: 20..<48)], axis: -1
      ).linear(root["b"])
    }
    let compressed = store.compressed(to: .int8, from: 1)
    let difference = zip(try run(adapted(compressed), layers), try run(compressed, layers)).map(-)
    let expected = zip(try run(adapted(store), layers), try run(store, layers)).map(-)
    // The rounding of the second layer's weights is multiplied by what the first one's adapter adds.
    expectClose(difference, expected, relativeTolerance: 5e-3)
    let single = zip(try run(adapted(compressed), layer), try run(compressed, layer)).map(-)
    let singleExpected = zip(try run(adapted(store), layer), try run(store, layer)).map(-)
    expectClose(single, singleExpected, relativeTolerance: 1e-5)
  }

  @Test(
    "A full difference stands beside the matrix; one that measures its length keeps it in floats")
  func otherAdapters() throws {
    let adapter = try folder.write(
      SafetensorsWriter.file([
        ("lora_unet_a.diff", [48, 256], Self.numbers(48 * 256, seed: 5)),
        ("unet.b.lora_A.weight", [4, 48], Self.numbers(4 * 48, seed: 7)),
        ("unet.b.lora_B.weight", [16, 4], Self.numbers(16 * 4, seed: 8)),
        ("unet.b.lora_magnitude_vector", [16], Self.numbers(16, seed: 9)),
      ]), as: "adapter.safetensors")
    var stores: [LoRA.Component: WeightStore] = [
      .network: store.compressed(to: .int8, from: 1)
    ]
    let plain = try #require(stores[.network])
    _ = try LoRA(path: adapter).apply(
      scale: 1, to: &stores, names: [.network: LayerNames(plain)])
    let adapted = try #require(stores[.network])
    #expect(try adapted.root["a"].packing != nil)
    #expect(try adapted.root["b"].packing == nil)
    let added = zip(try run(adapted, layer), try run(plain, layer)).map(-)
    let difference = try WeightStore(
      file: folder.write(
        SafetensorsWriter.file([("a.weight", [48, 256], Self.numbers(48 * 256, seed: 5))]),
        as: "difference.safetensors"))
    expectClose(added, try run(difference, layer), relativeTolerance: 1e-5)
  }

  @Test("A difference between two models is rounded with the weight it belongs to")
  func modelDifference() throws {
    let delta = try folder.write(
      SafetensorsWriter.file([("a.weight", [48, 256], Self.numbers(48 * 256, seed: 5))]),
      as: "delta.safetensors")
    func changed(_ base: WeightStore) throws -> WeightStore {
      var store = base
      _ = try DeltaWeights(path: delta).apply(scale: 1, to: &store)
      return store
    }
    let compressed = try changed(store.compressed(to: .int8, from: 1))
    #expect(try compressed.root["a"].packing != nil)
    let sum = zip(
      try store.root["a"].stored("weight").floats(), Self.numbers(48 * 256, seed: 5)
    ).map(+)
    expectClose(
      try run(compressed, layer), try run(rounded(sum, bits: 8, groupSize: 256), layer),
      relativeTolerance: 1e-5)
  }

  @Test("A matrix that holds NaN is refused with the row, when the graph is compiled")
  func nonFinite() throws {
    var scalars = Self.numbers(48 * 256)
    (scalars[700], scalars[701]) = (.nan, 1)
    let store = try WeightStore(
      file: folder.write(
        SafetensorsWriter.file([("a.weight", [48, 256], scalars)]), as: "nan.safetensors"))
    let error = #expect(throws: EngineError.self) {
      try run(store.compressed(to: .int8, from: 1), layer)
    }
    #expect(error?.message.contains("'a.weight' holds NaN or infinity in row 2") == true)
  }

  @Test("Float32 stays float32: activations are rounded only where that is asked for")
  func activations() async throws {
    let graph = Graph(name: "activations")
    let compressed = store.compressed(to: .int8, from: 1)
    graph.output(
      try graph.input("x", shape: [1, 5, 256]).linear(compressed.root["a"]), as: "y")
    let module = GraphModule(graph, weightsIdentity: compressed.identity)
    let cache = EngineCache(folder: "\(folder.path)/cache")
    // The second time from the cache, after an engine with other options.
    for _ in 0..<2 {
      for (quantizes, expected) in [(false, "0"), (true, "32")] {
        let options = EngineOptions(quantizesActivations: quantizes)
        let program = try await EngineStore.fresh(options: options, cache: cache)
          .program(for: module)
        #expect(try program.property("DYNAMIC_QUANTIZATION_GROUP_SIZE") == expected)
        let x = Self.numbers(5 * 256, seed: 3)
        program.write("x", ContiguousArray(x).span)
        try program.run()
        let y = program.read("y", as: Float.self) { y in y.indices.map { y[$0] } }
        let exact = try run(rounded(bits: 8, groupSize: 256), layer)
        if !quantizes { expectClose(y, exact, relativeTolerance: 1e-5) }
      }
    }
  }
}
