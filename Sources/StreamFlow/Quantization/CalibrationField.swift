internal import FlowCore
internal import FlowEngine
internal import FlowGraph
internal import FlowModels

/// The network during calibration: it runs row by row, and some rows become probes.
struct CalibrationField: VelocityField {
  let rowCapacity: Int
  let network: CalibrationRun
  /// One in this number of evaluations becomes a probe.
  let probeInterval: Int
  /// The operations of an evaluation, for progress.
  let operationCount: Int
  let work: QuantizationWork
  private(set) var probes: [Trial.Probe] = []
  private(set) var evaluationCount: Int
  private var rows: [[CalibrationInput]] = []
  private var outputs: [[Float]] = []

  /// - Parameter evaluationCount: the number of evaluations of earlier images.
  init(
    _ network: CalibrationRun, probeInterval: Int, evaluationCount: Int, operationCount: Int,
    work: QuantizationWork
  ) {
    rowCapacity = 2
    self.network = network
    self.probeInterval = max(probeInterval, 1)
    self.evaluationCount = evaluationCount
    self.operationCount = operationCount
    self.work = work
  }

  mutating func begin(rowCount: Int) throws { rows.removeAll() }

  mutating func load(
    row: Int, sample: Span<Float>, timestep: Float, conditioning: Conditioning
  ) {
    // In the order of the graph's inputs.
    rows.append(
      network.inputs.compactMap { input in
        switch input.name {
        case "sample": .floats(sample.indices.map { sample[$0] })
        case "timestep": .floats([timestep])
        default:
          conditioning.elements(of: input.name).map {
            .floats(Self.padded($0, to: input.shape.elementCount))
          }
        }
      })
  }

  /// A text's states, followed by zeros, which the network masks.
  private static func padded(_ elements: ContiguousArray<Float>, to count: Int) -> [Float] {
    elements + [Float](repeating: 0, count: max(count - elements.count, 0))
  }

  mutating func run() throws {
    outputs.removeAll()
    for row in rows {
      try network.run(row)
      let output = network.floats("output")
      outputs.append(output)
      if evaluationCount.isMultiple(of: probeInterval) {
        probes.append(Trial.Probe(inputs: row, output: output))
      }
      evaluationCount += 1
      try work.advance(by: operationCount)
    }
  }

  func withOutput(row: Int, _ body: (Span<Float>) -> Void) {
    // `ContiguousArray` has a span on every deployment target.
    let output = ContiguousArray(outputs[row])
    body(output.span)
  }
}
