internal import FlowCore
internal import FlowEngine
internal import FlowGraph

/// Measures how much each layer's rounding to 8 bits changes what a graph computes.
///
/// Two engines serve all layers. The first computes in float32 and returns the error that 8 bits
/// would make at each layer. The second adds the errors of any layers to their float32 outputs. The
/// effect of a group of layers is then one run, where an engine for each group would be one
/// compilation, which takes longer than everything else for a large network. Errors of a group are
/// those of unrounded inputs: what one rounding does to the next within a group is left out.
struct LayerSensitivity {
  /// Layers that are rounded together or not at all.
  struct Group {
    let layers: [String]
    /// Their operations in a run of the whole graph.
    let operationCount: Int
    /// The squared error of the graph's output over its square, where only they are rounded.
    var noise = 0.0
  }

  let name: String
  let quantization: Quantization
  let weights: WeightStore
  let configuration: EngineConfiguration
  /// The inputs of each probe, at the size of `graph`.
  let probes: [[CalibrationInput]]
  /// The output whose change is measured.
  let output: String
  let work: QuantizationWork
  /// Writes the graph, from weights that may be probed.
  let graph: (WeightStore) throws -> Graph

  /// The noise of each group.
  func measured(_ groups: [Group]) throws -> [Group] {
    try work.begin("measuring the rounding errors of \(name)")
    let errors = try errors()
    let exact = try graph(weights.probed(quantization, exposing: .perturbations))
    let ports = exact.layers.compactMap { layer in layer.probe.map { (layer.name, $0) } }
    let model = ONNXModel(exact, weightsIdentity: weights.identity + ["perturbations"])
    let inputs = ports.map { port in model.inputs.firstIndex { $0 == port.1 } ?? 0 }
    let result = model.outputs.firstIndex { $0.name == output } ?? 0
    let session = try Session(model, configuration: configuration)
    try work.advance(by: compilation)
    var groups = groups
    for (probe, errors) in zip(probes, errors) {
      for (input, error) in zip(inputs, errors) {
        session.write([Float](repeating: 0, count: error.count), input: input)
      }
      try session.run(probe)
      let expected = session.floats(output: result, of: model.outputs[result])
      for index in groups.indices {
        try work.begin("measuring the sensitivity of \(name), \(index + 1) of \(groups.count)")
        let members = Set(groups[index].layers)
        let entries = ports.indices.filter { members.contains(ports[$0].0) }
        for entry in entries { session.write(errors[entry], input: inputs[entry]) }
        try session.run()
        groups[index].noise += Self.noise(
          session.floats(output: result, of: model.outputs[result]), expected: expected)
        for entry in entries {
          session.write([Float](repeating: 0, count: errors[entry].count), input: inputs[entry])
        }
        try work.advance(by: exact.operationCount)
      }
    }
    return groups
  }

  /// The rounding error of each layer for each probe.
  private func errors() throws -> [[[Float]]] {
    let graph = try graph(weights.probed(quantization, exposing: .errors))
    let ports = graph.layers.compactMap(\.probe)
    let model = ONNXModel(graph, weightsIdentity: weights.identity + ["errors"])
    let outputs = ports.map { port in model.outputs.firstIndex { $0 == port } ?? 0 }
    let session = try Session(model, configuration: configuration)
    try work.advance(by: compilation)
    return try probes.map { probe in
      try session.run(probe)
      try work.advance(by: graph.operationCount)
      return zip(outputs, ports).map { session.floats(output: $0, of: $1) }
    }
  }

  private var compilation: Int {
    weights.parameterCount * QuantizationWork.operationsPerCompiledWeight
  }

  /// The squared error over the square of what is expected.
  static func noise(_ actual: [Float], expected: [Float]) -> Double {
    var (error, square) = (0.0, 0.0)
    for (value, want) in zip(actual, expected) {
      let difference = Double(value - want)
      error += difference * difference
      square += Double(want) * Double(want)
    }
    return square > 0 ? error / square : 0
  }
}
