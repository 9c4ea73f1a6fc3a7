internal import FlowCore
internal import FlowEngine
internal import FlowGraph
#if canImport(Glibc)
  private import Glibc
#elseif canImport(Musl)
  private import Musl
#else
  private import Darwin
#endif

/// Tries out which layers of a graph can compute in 8 bits: each alone, for how much of it is felt
/// in what comes out, and then all that are chosen together.
struct Trial {
  /// What was chosen, and how it does.
  struct Outcome {
    let quantization: Quantization
    let report: QuantizationReport.Part
  }

  let name: String
  let weights: WeightStore
  /// The operations of each layer that could compute in 8 bits.
  let operations: [String: Int]
  /// The operations of the whole graph.
  let totalOperations: Int
  let configuration: EngineConfiguration
  /// Whether layers are tried block by block.
  let isLarge: Bool
  let floatShare: Double
  let progress: (String) -> Void
  let graph: (WeightStore) throws -> Graph
  let evaluate: (inout Session) throws -> [[Float]]

  /// Chooses the layers.
  ///
  /// - Parameters:
  ///   - quantization: the numbers of all layers that could be chosen.
  ///   - expected: what comes out in floats.
  func choose(of quantization: Quantization, expected: [[Float]]) throws -> Outcome {
    let kept = try floatShare > 0 ? felt(quantization, expected: expected) : []
    let chosen = quantization.keeping { !kept.contains($0) }
    progress("trying out \(name)")
    let ratio = try noise(of: chosen, expected: expected)
    let done = chosen.layers.keys.reduce(0) { $0 + (operations[$1] ?? 0) }
    return Outcome(
      quantization: chosen,
      report: QuantizationReport.Part(
        name: name, layerCount: chosen.layers.count, keptLayers: kept.sorted(),
        operationShare: Double(done) / Double(max(totalOperations, 1)),
        signalToNoise: -10 * log10(max(ratio, 1e-12))))
  }

  /// The layers whose rounding is felt most for their operations, up to the share that may stay in
  /// floats.
  private func felt(_ quantization: Quantization, expected: [[Float]]) throws -> Set<String> {
    let groups = Dictionary(grouping: quantization.layers.keys, by: group)
    var tried: [(layers: [String], operations: Int, noise: Double)] = []
    for (index, group) in groups.sorted(by: { $0.key < $1.key }).enumerated() {
      progress("trying out \(name), \(index + 1) of \(groups.count)")
      let layers = Set(group.value)
      let ratio = try noise(of: quantization.keeping(layers.contains), expected: expected)
      tried.append((group.value, layers.reduce(0) { $0 + (operations[$1] ?? 0) }, ratio))
    }
    let budget = floatShare * Double(operations.values.reduce(0, +))
    var spent = 0.0
    var kept: Set<String> = []
    for entry in tried.sorted(by: {
      $0.noise * Double($1.operations) > $1.noise * Double($0.operations)
    }) where spent + Double(entry.operations) <= budget {
      spent += Double(entry.operations)
      kept.formUnion(entry.layers)
    }
    return kept
  }

  private func group(of layer: String) -> String {
    isLarge ? layer.split(separator: ".").prefix(4).joined(separator: ".") : layer
  }

  /// The squared error over the square of what is expected.
  private func noise(of quantization: Quantization, expected: [[Float]]) throws -> Double {
    let quantized = weights.quantized(by: quantization)
    var session = try Session(
      ONNXModel(graph(quantized), weightsIdentity: quantized.identity),
      configuration: configuration)
    var (error, square) = (0.0, 0.0)
    for (outputs, wanted) in zip(try evaluate(&session), expected) {
      for (output, want) in zip(outputs, wanted) {
        let difference = Double(output - want)
        error += difference * difference
        square += Double(want) * Double(want)
      }
    }
    return square > 0 ? error / square : 0
  }
}
