import FlowCore
import FlowTestSupport
import Testing

@testable import FlowGraph

@Suite struct GraphTests {
  private let folder: TemporaryFolder
  private let weights: WeightScope

  init() throws {
    folder = try TemporaryFolder()
    let ones = { (count: Int) in [Float](repeating: 1, count: count) }
    let path = try folder.write(
      SafetensorsWriter.file([
        ("block.conv.weight", [8, 4, 3, 3], ones(288)), ("block.conv.bias", [8], ones(8)),
        ("block.linear.weight", [6, 8], ones(48)), ("block.linear.bias", [5], ones(5)),
        ("block.norm.weight", [8], ones(8)), ("block.norm.bias", [8], ones(8)),
      ]), as: "w.safetensors")
    weights = try WeightStore(file: path).root["block"]
  }

  @Test("A graph goes with its last reference, with the constants, weights and layers it knows")
  func isReleased() throws {
    weak var released: Graph?
    do {
      let graph = Graph(name: "test")
      released = graph
      let input = graph.input("x", shape: [1, 4, 8, 8])
      let hidden = try input.convolution(weights["conv"], padding: 1)
      graph.output(try hidden * graph.constant(2), as: "y")
      #expect(!graph.layers.isEmpty && !graph.constants.isEmpty && !graph.weights.isEmpty)
    }
    #expect(released == nil)
  }

  @Test("Shapes follow the operators")
  func shapes() throws {
    let graph = Graph(name: "test")
    let input = graph.input("x", shape: [2, 4, 9, 7])
    let hidden = try input.convolution(weights["conv"], stride: 2, padding: 1)
    #expect(hidden.shape == [2, 8, 5, 4])
    #expect(
      try hidden.groupNorm(weights["norm"], groups: 4, epsilon: 1e-5).silu().shape == hidden.shape)
    #expect(try hidden.upsampledNearest(height: 9, width: 7).shape == [2, 8, 9, 7])
    #expect(try Value.concatenated([hidden, hidden], axis: 1).shape == [2, 16, 5, 4])
    #expect(try hidden.reshaped([2, 8, 20]).transposed([0, 2, 1]).shape == [2, 20, 8])
  }

  @Test("A clash names the layer and both shapes")
  func clashes() throws {
    let graph = Graph(name: "test")
    let input = graph.input("x", shape: [2, 3, 9, 7])
    func message(_ body: () throws -> Value) -> String {
      do {
        _ = try body()
        return "no error"
      } catch { return "\(error)" }
    }
    #expect(
      message { try input.convolution(weights["conv"], padding: 1) }
        == "block.conv: convolution with weight [8, 4, 3, 3] does not fit [2, 3, 9, 7]")
    #expect(
      message { try input.linear(weights["linear"]) }
        == "block.linear: linear layer with weight [6, 8] does not fit [2, 3, 9, 7]")
    #expect(
      message { try graph.input("y", shape: [2, 8]).linear(weights["linear"]) }
        == "block.linear.bias is [5], expected [6]")
    #expect(
      message { try input.groupNorm(weights["norm"], groups: 2, epsilon: 1e-5) }
        == "block.norm: 3 channels do not divide into 2 groups")
    #expect(
      message { try input + graph.input("z", shape: [2, 3, 9, 6]) }
        == "x: add takes two of one shape, got [2, 3, 9, 7] F32 and [2, 3, 9, 6] F32")
    #expect(
      message { try input.convolution(weights["gone"]) }
        .hasPrefix("the weights have no 'block.gone.weight'"))
  }

  @Test("The bytes of a graph name each weight's place, by address here and by file in keys")
  func places() throws {
    func model() throws -> GraphModule {
      let graph = Graph(name: "test")
      let hidden = try graph.input("x", shape: [1, 4, 8, 8]).convolution(weights["conv"])
      graph.output(hidden, as: "y")
      return GraphModule(graph, weightsIdentity: ["identity"])
    }
    let byFile = try model().onnx(locatingWeightsBy: .file)
    #expect(try model().onnx(locatingWeightsBy: .file) == byFile)
    let text = String(decoding: byFile, as: UTF8.self)
    #expect(text.contains("w.safetensors") && text.contains("1152"))
    let byAddress = String(
      decoding: try model().onnx(locatingWeightsBy: .address), as: UTF8.self)
    #expect(byAddress.contains("*/_ORT_MEM_ADDR_/*") && !byAddress.contains("w.safetensors"))
    #expect(try model().weightsByteCount == 1184)
  }

  @Test("A shape from a file is checked for overflow")
  func overflow() {
    #expect(Shape(checking: [1 << 32, 1 << 32]) == nil)
    #expect(Shape(checking: [-1]) == nil)
    #expect(Shape(checking: [1 << 62, 4, 1, 0]) == nil)
    #expect(Shape(checking: [0, 5])?.elementCount == 0)
    #expect(Shape(checking: [])?.elementCount == 1)
  }
}
