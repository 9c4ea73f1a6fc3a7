internal import FlowCore
internal import FlowEngine
internal import FlowGraph

/// A graph run for what its layers read, and for what comes out.
///
/// Its last three outputs are those of `Graph.addStatistics`.
final class CalibrationRun {
  /// What some layers read, over all runs.
  private(set) var ranges: [TensorRange]
  private let tensors: [Graph.Statistics]
  private let session: Session
  private let ports: [Port]
  private let statisticsOutput: Int

  /// - Parameters:
  ///   - graph: a network or an autoencoder, its outputs named.
  ///   - elementCount: about how many elements of each tensor are taken of a run.
  ///   - ranges: what earlier runs of the same graph have seen.
  init(
    _ graph: Graph, layers: Set<String>, elementCount: Int, weightsIdentity: [String],
    configuration: EngineConfiguration, ranges earlier: [TensorRange] = []
  ) throws {
    tensors = try graph.addStatistics(of: layers.contains, elementCount: elementCount)
    let model = ONNXModel(graph, weightsIdentity: weightsIdentity)
    statisticsOutput = model.outputs.count - 3
    ranges = earlier.count == tensors.count ? earlier : tensors.map { _ in TensorRange() }
    ports = model.outputs
    session = try Session(model, configuration: configuration)
  }

  /// Runs on some inputs, and takes in what the layers read.
  func run(_ inputs: [CalibrationInput]) throws(EngineError) {
    try session.run(inputs)
    guard !tensors.isEmpty else { return }
    let minima = elements(output: statisticsOutput, as: Float.self)
    let maxima = elements(output: statisticsOutput + 1, as: Float.self)
    session.read(output: statisticsOutput + 2, as: Float.self) { elements in
      for (index, tensor) in tensors.enumerated() {
        ranges[index].add(
          minimum: minima[index], maximum: maxima[index],
          sample: elements.extracting(tensor.elements))
      }
    }
  }

  /// An output's elements.
  func elements<Element: BitwiseCopyable>(output: Int, as type: Element.Type) -> [Element] {
    session.read(output: output, as: type) { span in span.indices.map { span[$0] } }
  }

  /// An output's elements as floats.
  func floats(output: Int) -> [Float] { session.floats(output: output, of: ports[output]) }

  /// The scales of every layer that was seen and is finite.
  func quantization(
    of weights: WeightScope, by choice: TensorRange.Choice
  ) throws(GraphError) -> Quantization {
    var layers: [String: Quantization.Layer] = [:]
    for (tensor, seen) in zip(tensors, ranges) {
      guard let range = seen.range(by: choice) else { continue }
      for name in tensor.layers {
        layers[name] = Quantization.Layer(
          input: range, weightScales: try weights[name].weightScales())
      }
    }
    return Quantization(layers: layers)
  }
}
