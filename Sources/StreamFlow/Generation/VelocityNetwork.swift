internal import FlowCore
internal import FlowEngine
internal import FlowGraph

/// The network as a field: engines of the row counts that ticks may have.
///
/// A tick runs on the smallest engine that holds its rows. What a row's conditioning was is
/// remembered, so that a prompt is copied into a row only when it changes.
final class VelocityNetwork: VelocityField {
  let rowCapacity: Int
  /// The time spent inside the engine.
  private(set) var engineTime = Duration.zero

  private let engines: [RowEngine]
  private var current: RowEngine

  /// - Precondition: there is a row count, and all are positive.
  init(
    _ checkpoint: Checkpoint, height: Int, width: Int, rowCounts: [Int],
    configuration: EngineConfiguration, cache: EngineCache?
  ) throws {
    let network = UNet(configuration: checkpoint.unet, weights: checkpoint.unetWeights.root)
    engines = try rowCounts.sorted().map { rows in
      let graph = try network.graph(
        .init(rows: rows, height: height, width: width, tokens: checkpoint.text.tokenCount))
      return try RowEngine(
        Session(
          ONNXModel(graph, weightsIdentity: checkpoint.unetWeights.identity),
          configuration: configuration, cache: cache), rows: rows)
    }
    current = engines[engines.count - 1]
    rowCapacity = current.rows
  }

  func begin(rowCount: Int) {
    current = engines.first { $0.rows >= rowCount } ?? engines[engines.count - 1]
  }

  func load(row: Int, sample: Span<Float>, timestep: Float, conditioning: Conditioning) {
    current.load(row: row, sample: sample, timestep: timestep, conditioning: conditioning)
  }

  func run() throws(EngineError) {
    let start = ContinuousClock.now
    try current.session.run()
    engineTime += .now - start
  }

  func withOutput(row: Int, _ body: (Span<Float>) -> Void) {
    current.withOutput(row: row, body)
  }
}

/// An engine of one row count, and what its rows hold.
private final class RowEngine {
  let session: Session
  let rows: Int
  private var conditionings: [Conditioning?]

  init(_ session: consuming Session, rows: Int) {
    self.session = session
    self.rows = rows
    conditionings = [Conditioning?](repeating: nil, count: rows)
  }

  func load(row: Int, sample: Span<Float>, timestep: Float, conditioning: Conditioning) {
    session.write(sample, toRow: row, of: rows, input: 0)
    session.write(input: 1, as: Float.self) { $0[row] = timestep }
    guard conditionings[row] !== conditioning else { return }
    let hidden = conditioning.hidden
    session.write(hidden.span, toRow: row, of: rows, input: 2)
    conditionings[row] = conditioning
  }

  func withOutput(row: Int, _ body: (Span<Float>) -> Void) {
    session.read(output: 0, as: Float.self) { output in
      let count = output.count / rows
      let part = output.extracting(row * count..<(row + 1) * count)
      body(part)
    }
  }
}
