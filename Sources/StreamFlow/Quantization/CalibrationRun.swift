internal import FlowCore
internal import FlowEngine
internal import FlowGraph
internal import FlowModels

/// Runs a graph for its layers' inputs and its outputs.
///
/// Its last three outputs are those of `Graph.addStatistics`.
final class CalibrationRun {
  /// The ranges of the layers' inputs over all runs.
  private(set) var ranges: [TensorRange]
  private let tensors: [Graph.Statistics]
  private let program: Program

  /// - Parameters:
  ///   - graph: a network or an autoencoder, its outputs named.
  ///   - elementCount: the approximate number of elements that are sampled of each tensor per run.
  ///   - ranges: the ranges that earlier runs of the same graph have observed.
  init(
    _ graph: Graph, layers: Set<String>, elementCount: Int, weightsIdentity: [String],
    engines: EngineStore, ranges earlier: [TensorRange] = [],
    isolation: isolated (any Actor)? = #isolation
  ) async throws {
    tensors = try graph.addStatistics(of: layers.contains, elementCount: elementCount)
    ranges = earlier.count == tensors.count ? earlier : tensors.map { _ in TensorRange() }
    program = try await engines.program(
      for: GraphModule(graph, weightsIdentity: weightsIdentity))
  }

  /// Runs on some inputs, and records what the layers read.
  func run(_ inputs: [CalibrationInput]) throws(EngineError) {
    try program.run(inputs)
    guard !tensors.isEmpty else { return }
    let minima = program.floats("minima")
    let maxima = program.floats("maxima")
    program.read("elements", as: Float.self) { elements in
      for (index, tensor) in tensors.enumerated() {
        ranges[index].add(
          minimum: minima[index], maximum: maxima[index],
          sample: elements.extracting(tensor.elements))
      }
    }
  }

  /// Its inputs, in the order of ``run(_:)``.
  var inputs: [Port] { program.inputs }

  /// An output's elements as floats.
  func floats(_ output: PortName) -> [Float] { program.floats(output) }

  /// The scales of every layer that was observed and is finite.
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
