import FlowCore
import FlowGraph
import FlowTestSupport
import Testing

@Suite struct WeightStoreTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func write(_ name: String, _ tensors: [(name: String, shape: [Int], scalars: [Float])])
    throws
  {
    _ = try folder.write(SafetensorsWriter.file(tensors), as: name)
  }

  private func index(_ map: String) throws {
    _ = try folder.write(Array(#"{"weight_map":\#(map)}"#.utf8), as: "model.safetensors.index.json")
  }

  private func open(variant: String? = nil) throws -> WeightStore {
    try WeightStore(folder: folder.path, stem: "model", variant: variant)
  }

  @Test("One file, or the half-precision variant if there is no other")
  func single() throws {
    try write("model.fp16.safetensors", [("a", [1], [2])])
    #expect(try open().weights["a"]?.floats() == [2])
    try write("model.safetensors", [("a", [1], [1])])
    #expect(try open().weights["a"]?.floats() == [1])
    #expect(try open(variant: "fp16").weights["a"]?.floats() == [2])
    #expect(try open().identity != open(variant: "fp16").identity)
  }

  @Test("Shards that an index names are one store")
  func shards() throws {
    try write("model-00001-of-00002.safetensors", [("a", [1], [1])])
    try write("model-00002-of-00002.safetensors", [("b", [2], [2, 3])])
    try index(#"{"a":"model-00001-of-00002.safetensors","b":"model-00002-of-00002.safetensors"}"#)
    let store = try open()
    #expect(store.parameterCount == 3 && store.byteCount == 12 && store.identity.count == 2)
    #expect(try store.weights["b"]?.floats() == [2, 3])
  }

  @Test("A Git LFS pointer in the place of an index or of a LoRA's settings is named")
  func pointers() throws {
    let pointer = Array("version https://git-lfs.github.com/spec/v1\noid sha256:0\n".utf8)
    _ = try folder.write(pointer, as: "model.safetensors.index.json")
    var error = #expect(throws: GraphError.self) { try open() }
    #expect(error?.message.contains("index.json' is a Git LFS pointer") == true)
    let adapter = try folder.write(
      SafetensorsWriter.file([
        ("base_model.model.a.lora_A.weight", [1, 1], [1]),
        ("base_model.model.a.lora_B.weight", [1, 1], [1]),
      ]), as: "adapter_model.safetensors")
    _ = try folder.write(pointer, as: "adapter_config.json")
    error = #expect(throws: GraphError.self) { try LoRA(path: adapter) }
    #expect(error?.message.contains("adapter_config.json' is a Git LFS pointer") == true)
    #expect(error?.message.contains("`git lfs pull`") == true)
  }

  @Test(
    "An index that lies is refused with the file it lies about",
    arguments: [
      (
        #"{"a":"model-1.safetensors","b":"model-2.safetensors"}"#,
        "names the shard 'model-2.safetensors', which is missing"
      ),
      (
        #"{"z":"model-1.safetensors"}"#,
        "places 'z' in 'model-1.safetensors', which does not hold it"
      ),
      (#"{"a":"../model-1.safetensors"}"#, "which is not a file beside it"),
      (#"{"a":"/etc/passwd"}"#, "which is not a file beside it"),
      (#"{"a":".."}"#, "which is not a file beside it"),
      (#"{"a":""}"#, "which is not a file beside it"), ("[]", "is not an index of weights"),
    ])
  func lies(map: String, expected: String) throws {
    try write("model-1.safetensors", [("a", [1], [1])])
    try index(map)
    let error = #expect(throws: GraphError.self) { try open() }
    #expect(error?.message.contains(expected) == true, "\(error?.message ?? "")")
  }

  @Test("A folder without weights is reported with the expected names")
  func absent() {
    let error = #expect(throws: GraphError.self) { try open() }
    #expect(
      error?.message
        == "'\(folder.path)' has no weights: expected model.safetensors or model.fp16.safetensors, "
        + "whole or in shards with an index")
  }

  @Test("Renamed weights carry their new names into graphs")
  func renamed() throws {
    try write("model.safetensors", [("text_model.a.weight", [1], [1]), ("b", [1], [2])])
    let store = try open().renamed { $0.hasPrefix("text_model.") ? String($0.dropFirst(11)) : nil }
    #expect(store.weights.keys.sorted() == ["a.weight"])
    #expect(store.weights["a.weight"]?.name == "a.weight")
  }

  @Test("A tensor whose halves are swapped has its second rows first, and no rows across both")
  func swappedHalves() throws {
    try write(
      "model.safetensors", [("a", [4, 2], [0, 1, 2, 3, 4, 5, 6, 7]), ("b", [3], [1, 2, 3])])
    let store = try open()
    let swapped = try #require(store.weights["a"]).halvesSwapped()
    #expect(try swapped.floats() == [4, 5, 6, 7, 0, 1, 2, 3])
    #expect(try swapped.rows(1..<2).floats() == [6, 7])
    #expect(try swapped.rows(2..<4).floats() == [0, 1, 2, 3])
    #expect(try swapped.halvesSwapped().floats() == [0, 1, 2, 3, 4, 5, 6, 7])
    #expect(try swapped.reshaped([4, 1, 2]).floats() == [4, 5, 6, 7, 0, 1, 2, 3])
    let graph = Graph(name: "swapped")
    let renamed = try store.mapped { (weight) throws(GraphError) in
      weight.name == "a" ? [try weight.halvesSwapped()] : []
    }
    #expect(try renamed.root.value("a", in: graph).shape == [4, 2])
    #expect(GraphModule(graph, weightsIdentity: []).weightsByteCount == 32)
    #expect(throws: GraphError.self) { try swapped.rows(1..<3) }
    #expect(throws: GraphError.self) { try swapped.reshaped([8]) }
    #expect(throws: GraphError.self) { try swapped.transposed() }
    let odd = try #require(store.weights["b"])
    let error = #expect(throws: GraphError.self) { try odd.halvesSwapped() }
    #expect(error?.message.contains("'b' is [3]") == true)
  }
}
