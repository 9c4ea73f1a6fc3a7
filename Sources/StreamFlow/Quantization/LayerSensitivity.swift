internal import FlowCore
internal import FlowEngine
internal import FlowGraph
internal import FlowModels

/// Measures how much each layer's rounding to 8 bits changes what a graph computes.
///
/// Two engines serve all layers. The first computes in float32 and returns the error that 8 bits
/// would cause at each layer. The second adds the errors of any layers to their float32 outputs.
/// Measuring a group of layers then takes one run; an engine for each group would take one
/// compilation each, which takes longer than everything else for a large network. The errors of a
/// group are those of unrounded inputs: the effect of one rounding on the next within a group is
/// neglected.
struct LayerSensitivity {
  /// Layers that are rounded together or not at all.
  struct Group {
    let layers: [String]
    /// Their operations in a run of the whole graph.
    let operationCount: Int
    /// The squared error of the graph's output relative to its square, if only they are rounded.
    var noise = 0.0
  }

  let name: String
  let quantization: Quantization
  let weights: WeightStore
  let engines: EngineStore
  /// The inputs of each probe, at the size of `graph`.
  let probes: [[CalibrationInput]]
  /// The output whose change is measured.
  let output: PortName
  let work: QuantizationWork
  /// Builds the graph from weights that may be probed.
  let graph: (WeightStore) throws -> Graph

  /// The noise of each group.
  func measured(
    _ groups: [Group], isolation: isolated (any Actor)? = #isolation
  ) async throws -> [Group] {
    try work.begin("measuring the rounding errors of \(name)")
    let errors = try await errors()
    let exact = try graph(weights.probed(quantization, exposing: .perturbations))
    let layers = exact.layers.compactMap { layer in layer.probe.map { (layer.name, $0.name) } }
    let program = try await engines.program(
      for: GraphModule(exact, weightsIdentity: weights.identity + ["perturbations"]))
    try work.advance(by: compilation)
    var groups = groups
    for (probe, errors) in zip(probes, errors) {
      for (_, port) in layers { program.clear(port) }
      try program.run(probe)
      let expected = program.floats(output)
      for index in groups.indices {
        try work.begin("measuring the sensitivity of \(name), \(index + 1) of \(groups.count)")
        let members = Set(groups[index].layers)
        let entries = layers.indices.filter { members.contains(layers[$0].0) }
        for entry in entries {
          program.write(layers[entry].1, ContiguousArray(errors[entry]).span)
        }
        try program.run()
        groups[index].noise += Self.noise(program.floats(output), expected: expected)
        for entry in entries { program.clear(layers[entry].1) }
        try work.advance(by: exact.operationCount)
      }
    }
    return groups
  }

  /// The rounding error of each layer for each probe.
  private func errors(
    isolation: isolated (any Actor)? = #isolation
  ) async throws -> [[[Float]]] {
    let graph = try graph(weights.probed(quantization, exposing: .errors))
    let ports = graph.layers.compactMap(\.probe)
    let program = try await engines.program(
      for: GraphModule(graph, weightsIdentity: weights.identity + ["errors"]))
    try work.advance(by: compilation)
    return try probes.map { probe in
      try program.run(probe)
      try work.advance(by: graph.operationCount)
      return ports.map { program.floats($0.name) }
    }
  }

  private var compilation: Int {
    weights.parameterCount * QuantizationWork.operationsPerCompiledWeight
  }

  /// The squared error relative to the square of the expected values.
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

extension Program {
  /// Sets an input of floats to zero.
  fileprivate func clear(_ name: PortName) {
    withInput(name, as: Float.self) { input in
      for index in input.indices { input[index] = 0 }
    }
  }
}
