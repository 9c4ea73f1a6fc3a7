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
  private var session: Session
  private let statisticsOutput: Int

  /// - Parameters:
  ///   - graph: a network or an autoencoder, its outputs named.
  ///   - elementCount: about how many elements of each tensor are taken of a run.
  init(
    _ graph: Graph, layers: Set<String>, elementCount: Int, weightsIdentity: [String],
    configuration: EngineConfiguration
  ) throws {
    tensors = try graph.addStatistics(of: layers.contains, elementCount: elementCount)
    let model = ONNXModel(graph, weightsIdentity: weightsIdentity)
    statisticsOutput = model.outputs.count - 3
    ranges = tensors.map { _ in TensorRange() }
    session = try Session(model, configuration: configuration)
  }

  /// Writes an input.
  func write<Element: BitwiseCopyable>(_ elements: [Element], input: Int) {
    session.write(elements.span, input: input)
  }

  /// Runs, and takes in what the layers read.
  func run() throws(EngineError) {
    try session.run()
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

  /// The numbers of every layer that was seen and is finite.
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

/// The network as a calibration evaluates it: row by row, keeping some rows to compare with.
struct CalibrationField: VelocityField {
  /// A row of the network and what came of it.
  struct Probe {
    let sample: [Float]
    let timestep: Float
    let conditioning: Conditioning
    let output: [Float]
  }

  let rowCapacity: Int
  let network: CalibrationRun
  /// Of how many rows one is kept.
  let probeInterval: Int
  private(set) var probes: [Probe] = []
  private(set) var evaluationCount = 0
  private var rows: [(sample: [Float], timestep: Float, conditioning: Conditioning)] = []
  private var outputs: [[Float]] = []

  init(_ network: CalibrationRun, rowCapacity: Int, probeInterval: Int) {
    self.network = network
    self.rowCapacity = rowCapacity
    self.probeInterval = max(probeInterval, 1)
  }

  mutating func begin(rowCount: Int) throws(EngineError) { rows.removeAll() }

  mutating func load(
    row: Int, sample: Span<Float>, timestep: Float, conditioning: Conditioning
  ) {
    rows.append((sample.indices.map { sample[$0] }, timestep, conditioning))
  }

  mutating func run() throws(EngineError) {
    outputs.removeAll()
    for row in rows {
      network.write(row.sample, input: 0)
      network.write([row.timestep], input: 1)
      for (index, scalars) in ([row.conditioning.text] + row.conditioning.others).enumerated() {
        network.write(scalars, input: 2 + index)
      }
      try network.run()
      let output = network.elements(output: 0, as: Float.self)
      outputs.append(output)
      if evaluationCount.isMultiple(of: probeInterval) {
        probes.append(
          Probe(
            sample: row.sample, timestep: row.timestep, conditioning: row.conditioning,
            output: output))
      }
      evaluationCount += 1
    }
  }

  func withOutput(row: Int, _ body: (Span<Float>) -> Void) {
    let output = outputs[row]
    body(output.span)
  }
}
