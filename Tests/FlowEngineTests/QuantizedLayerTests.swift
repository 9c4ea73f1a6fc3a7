import FlowCore
import FlowEngine
import FlowGraph
import FlowTestSupport
import Foundation
import Testing

/// Layers in 8 bits, against PyTorch's own rounding.
@Suite(.tags(.engine)) struct QuantizedLayerTests {
  private static let cases: [(name: String, stride: Int, padding: Int)] = [
    ("same", 1, 1), ("halved", 2, 1), ("place", 1, 0), ("positive", 1, 1), ("tokens", 1, 0),
  ]

  private let golden: Golden
  private let folder: TemporaryFolder

  init() throws {
    golden = try Golden("quantization.safetensors", in: .module)
    folder = try TemporaryFolder()
  }

  /// A file of one layer `layer`.
  private func store(_ name: String) throws -> WeightStore {
    try WeightStore(
      file: folder.write(
        SafetensorsWriter.file([
          (
            "layer.weight", golden.shape("\(name).weight"), golden.floats("\(name).weight")
          ),
          ("layer.bias", golden.shape("\(name).bias"), golden.floats("\(name).bias")),
        ]), as: "\(name).safetensors"))
  }

  private func quantization(_ name: String) throws -> Quantization {
    Quantization(layers: [
      "layer": .init(
        input: AffineRange(
          scale: try golden.floats("\(name).scale")[0],
          zeroPoint: UInt8(try golden.floats("\(name).zero_point")[0])),
        weightScales: try golden.floats("\(name).scales"))
    ])
  }

  private func run(
    _ name: String, _ store: WeightStore, on backend: TestBackend,
    _ build: (Value, WeightScope) throws -> Value
  ) throws -> [Float] {
    let graph = Graph(name: "layer")
    let input = graph.input("x", shape: Shape(try golden.shape("\(name).x")))
    graph.output(try build(input, store.root["layer"]), as: "output")
    let session = try Program.compiled(
      GraphModule(graph, weightsIdentity: store.identity), on: backend)
    let scalars = try golden.floats("\(name).x")
    session.withInput(0, as: Float.self) { for i in $0.indices { $0[i] = scalars[i] } }
    try session.run()
    return session.read(0, as: Float.self) { span in span.indices.map { span[$0] } }
  }

  @Test(
    "A layer in 8 bits gives what PyTorch's rounding gives", arguments: cases.indices,
    TestBackend.all)
  func layers(index: Int, backend: TestBackend) throws {
    let (name, stride, padding) = Self.cases[index]
    let plain = try store(name)
    let quantized = plain.quantized(by: try quantization(name))
    #expect(quantized.identity != plain.identity)
    let actual = try run(name, quantized, on: backend) { input, layer in
      input.shape.rank == 3
        ? try input.linear(layer) : try input.convolution(layer, stride: stride, padding: padding)
    }
    // Where an input lies half-way between two numbers, float32 may go either way: one such is
    // worth one unit of input and weight.
    expectClose(actual, try golden.floats("\(name).output"), relativeTolerance: 2e-3)
  }

  @Test(
    "The parts of a fully connected layer have the scales of their outputs",
    arguments: TestBackend.all)
  func parts(backend: TestBackend) throws {
    let quantized = try store("tokens").quantized(by: quantization("tokens"))
    let actual = try run("tokens", quantized, on: backend) { input, layer in
      try .concatenated(
        [input.linear(layer, outputs: 0..<40), input.linear(layer, outputs: 40..<64)], axis: -1)
    }
    expectClose(actual, try golden.floats("tokens.output"), relativeTolerance: 2e-3)
  }

  @Test("A range is PyTorch's: its scale, its zero point, its rounding", arguments: cases.indices)
  func ranges(index: Int) throws {
    let name = Self.cases[index].name
    let x = try golden.floats("\(name).x")
    let range = AffineRange(try #require(x.min())...(try #require(x.max())))
    let scale = try golden.floats("\(name).scale")[0]
    #expect(abs(range.scale - scale) <= 1e-6 * scale)
    #expect(Float(range.zeroPoint) == (try golden.floats("\(name).zero_point")[0]))
    let given = AffineRange(scale: scale, zeroPoint: range.zeroPoint)
    expectClose(
      x.map { given.nearest(to: $0) }, try golden.floats("\(name).rounded"), tolerance: 1.01 * scale
    )
  }

  @Test("An output's scale rounds its weights no worse than PyTorch's", arguments: cases.indices)
  func scales(index: Int) throws {
    let name = Self.cases[index].name
    let scales = try store(name).root["layer"].weightScales()
    let weights = try golden.floats("\(name).weight")
    let kernel = try golden.floats("\(name).kernel")
    let count = weights.count / scales.count
    for (output, scale) in scales.enumerated() {
      let (mine, theirs) = (output * count..<(output + 1) * count)
        .reduce(into: (0.0, 0.0)) { sums, place in
          let number = (weights[place] / scale).rounded(.toNearestOrEven)
          let rounded = min(max(number, -63), 63) * scale
          sums.0 += pow(Double(weights[place] - rounded), 2)
          sums.1 += pow(Double(weights[place] - kernel[place]), 2)
        }
      #expect(scale > 0 && mine <= theirs * 1.0001)
    }
  }

  @Test(
    "What is watched are the extremes and a fair sample of what the layers read",
    arguments: TestBackend.all)
  func watched(backend: TestBackend) throws {
    let store = try store("tokens")
    let graph = Graph(name: "watched")
    let input = graph.input("x", shape: Shape(try golden.shape("tokens.x")))
    let layer = store.root["layer"]
    let outputs = [try input.linear(layer, outputs: 0..<8), try input.linear(layer)]
    graph.output(try .concatenated(outputs, axis: -1), as: "output")
    let tensors = try graph.addStatistics(of: { $0 == "layer" }, elementCount: 100)
    // One tensor, which the layer's two uses read.
    #expect(tensors.map(\.layers) == [["layer"]])
    let session = try Program.compiled(
      GraphModule(graph, weightsIdentity: store.identity), on: backend)
    let scalars = try golden.floats("tokens.x")
    session.withInput(0, as: Float.self) { for i in $0.indices { $0[i] = scalars[i] } }
    try session.run()
    func floats(_ output: Int) -> [Float] {
      session.read(output, as: Float.self) { span in span.indices.map { span[$0] } }
    }
    #expect(floats(1) == [scalars.min()] && floats(2) == [scalars.max()])
    let sample = floats(3)
    #expect(sample.count == tensors[0].elements.count && (90...200).contains(sample.count))
    #expect(Set(sample).isSubset(of: Set(scalars)) && Set(sample).count > 90)
  }
}
