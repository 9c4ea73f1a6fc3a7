internal import FlowGraph
internal import FlowModels

/// The layers of a graph that can compute in 8 bits, and the groups in which they are tried.
struct LayerChoice {
  /// The operations of each layer in a run of the whole graph.
  let operations: [String: Int]
  let groups: [LayerSensitivity.Group]
  /// The number of inputs that the sensitivity of each group is measured with.
  let probeCount: Int

  /// The maximum number of operations of a sensitivity study: about a minute of two cores.
  private static let budget = 12_000_000_000_000
  /// The minimum and the maximum number of inputs of a study.
  private static let probeBounds = 2...12

  /// - Parameters:
  ///   - layers: the names of the layers that can compute in 8 bits.
  ///   - graph: the graph at the size that is quantized.
  ///   - trialOperationCount: the operations of the graph at the size of a trial.
  init(_ layers: Set<String>, of graph: Graph, trialOperationCount: Int) {
    var operations: [String: Int] = [:]
    for layer in graph.layers where layers.contains(layer.name) {
      operations[layer.name, default: 0] += layer.operationCount
    }
    self.operations = operations
    let lowest = Self.probeBounds.lowerBound * max(trialOperationCount, 1)
    let areBlocks = operations.count * lowest > Self.budget
    groups = Dictionary(grouping: operations.keys) { areBlocks ? Self.block(of: $0) : $0 }
      .sorted { $0.key < $1.key }
      .map { _, layers in
        LayerSensitivity.Group(
          layers: layers.sorted(), operationCount: layers.reduce(0) { $0 + (operations[$1] ?? 0) })
      }
    let affordable = Self.budget / max(groups.count * trialOperationCount, 1)
    probeCount = min(max(affordable, Self.probeBounds.lowerBound), Self.probeBounds.upperBound)
  }

  /// The operations of choosing the layers, compilations included.
  ///
  /// - Parameters:
  ///   - trialOperationCount: the operations of the graph at the size of a trial.
  ///   - operationCount: the operations of the graph at the size that is quantized.
  ///   - parameterCount: the number of weights of an engine.
  ///   - floatShare: the share of operations that stays in float32; there is no study for 0.
  func operationCount(
    trialOperationCount: Int, operationCount: Int, parameterCount: Int, floatShare: Double
  ) -> Int {
    let compilation = parameterCount * QuantizationWork.operationsPerCompiledWeight
    let study =
      floatShare > 0
      ? 2 * compilation + probeCount * (groups.count + 2) * trialOperationCount : 0
    return 2 * compilation + study
      + Trial.verificationCount(operationCount: operationCount) * operationCount
  }

  /// The block of a layer: its name up to the second number, as `down_blocks.0.resnets.1`.
  static func block(of layer: String) -> String {
    var (parts, numbers): ([Substring], Int) = ([], 0)
    for part in layer.split(separator: ".") {
      parts.append(part)
      if Int(part) != nil { numbers += 1 }
      if numbers == 2 { break }
    }
    return parts.joined(separator: ".")
  }

  /// The layers with the most noise for their operations, up to a share of all operations.
  static func mostSensitive(_ groups: [LayerSensitivity.Group], share: Double) -> Set<String> {
    let budget = share * Double(groups.reduce(0) { $0 + $1.operationCount })
    var (spent, layers) = (0.0, Set<String>())
    for group in groups.sorted(by: {
      $0.noise * Double($1.operationCount) > $1.noise * Double($0.operationCount)
    }) where spent + Double(group.operationCount) <= budget {
      spent += Double(group.operationCount)
      layers.formUnion(group.layers)
    }
    return layers
  }
}
