internal import FlowCore
internal import FlowEngine
internal import FlowGraph
internal import FlowModels
#if canImport(Glibc)
  private import Glibc
#elseif canImport(Musl)
  private import Musl
#else
  private import Darwin
#endif

/// Chooses which layers of a graph compute in 8 bits: all that can, except the most sensitive ones.
///
/// Then compares the result with float32.
struct Trial {
  /// The choice and its error.
  struct Outcome {
    let quantization: Quantization
    let report: QuantizationReport.Part
  }

  /// An input of the graph, and its float32 output.
  struct Probe {
    let inputs: [CalibrationInput]
    let output: [Float]
  }

  let name: String
  let weights: WeightStore
  let layers: LayerChoice
  let engines: EngineStore
  let floatShare: Double
  /// The output that is compared.
  let output: PortName
  let work: QuantizationWork
  /// Builds the graph at the size that is quantized.
  let graph: (WeightStore) throws -> Graph
  /// Builds the graph at the size of the sensitivity study.
  let smallGraph: (WeightStore) throws -> Graph
  /// Crops the inputs of a probe to that size.
  let small: ([CalibrationInput]) -> [CalibrationInput]

  /// Chooses the layers.
  ///
  /// - Parameters:
  ///   - quantization: the scales of all layers that could be chosen.
  ///   - probes: inputs with their outputs in float32.
  func choose(
    of quantization: Quantization, probes: [Probe],
    isolation: isolated (any Actor)? = #isolation
  ) async throws -> Outcome {
    var sensitive: Set<String> = []
    if floatShare > 0 {
      let study = LayerSensitivity(
        name: name, quantization: quantization, weights: weights, engines: engines,
        probes: probes.prefix(layers.probeCount).map { small($0.inputs) }, output: output,
        work: work, graph: smallGraph)
      sensitive = LayerChoice.mostSensitive(
        try await study.measured(layers.groups), share: floatShare)
    }
    let chosen = quantization.keeping { !sensitive.contains($0) }
    try work.begin("verifying \(name) in int8")
    let (noise, total) = try await noise(of: chosen, probes: probes)
    let done = chosen.layers.keys.reduce(0) { $0 + (layers.operations[$1] ?? 0) }
    return Outcome(
      quantization: chosen,
      report: QuantizationReport.Part(
        name: name, layerCount: chosen.layers.count, keptLayers: sensitive.sorted(),
        operationShare: Double(done) / Double(max(total, 1)),
        signalToNoise: -10 * log10(max(noise, 1e-12))))
  }

  private func noise(
    of quantization: Quantization, probes: [Probe],
    isolation: isolated (any Actor)? = #isolation
  ) async throws -> (Double, operationCount: Int) {
    let quantized = weights.quantized(by: quantization)
    let graph = try graph(quantized)
    let program = try await engines.program(
      for: GraphModule(graph, weightsIdentity: quantized.identity))
    try work.advance(by: weights.parameterCount * QuantizationWork.operationsPerCompiledWeight)
    var (actual, expected): ([Float], [Float]) = ([], [])
    for probe in probes.prefix(
      Self.verificationCount(operationCount: graph.operationCount))
    {
      try program.run(probe.inputs)
      actual += program.floats(output)
      expected += probe.output
      try work.advance(by: graph.operationCount)
    }
    return (LayerSensitivity.noise(actual, expected: expected), graph.operationCount)
  }

  /// The number of probes that verify the chosen layers: a dozen, or for a large graph as many as
  /// take 2 trillion operations.
  static func verificationCount(operationCount: Int) -> Int {
    min(max(2_000_000_000_000 / max(operationCount, 1), 2), 12)
  }
}
