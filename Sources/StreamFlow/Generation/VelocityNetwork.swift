internal import FlowCore
internal import FlowEngine
internal import FlowGraph

/// The network as a field.
///
/// What a row's conditioning was is remembered, so that a prompt is copied into a row only when
/// it changes.
final class VelocityNetwork: VelocityField {
  let catalogue: EngineCatalogue
  /// The chunks of a tick's conditionings; each one's own number divides it.
  var chunkCount = 1
  /// The most rows of a tick.
  let rowCapacity: Int
  private let times: TimeTable?
  /// Whether the rows of a tick run one after another: where one alone fills the machine, an
  /// engine of several would only compute rows that nobody asked for.
  private let runsSingly: Bool
  /// What was loaded for rows that run one after another, and what they gave.
  private var loaded: [(sample: [Float], timestep: Float, conditioning: Conditioning)] = []
  private var outputs: [[Float]] = []
  private var current: RowEngine?
  private var rowCount = 0
  /// What went wrong while rows were loaded; the run throws it.
  private var failure: EngineError?

  /// - Parameters:
  ///   - network: the architecture with its weights.
  ///   - checkpoint: the model it is of.
  ///   - height: the latents' height.
  ///   - width: the latents' width.
  ///   - rowCapacity: the most rows of a tick.
  ///   - tables: what is computed before the ticks.
  init(
    _ network: UNet, _ checkpoint: Checkpoint, height: Int, width: Int, rowCapacity: Int,
    tables: UNet.Tables, configuration: EngineConfiguration, cache: EngineCache?
  ) throws {
    times =
      try tables.contains(.time)
      ? TimeTable(network, checkpoint, configuration: configuration, cache: cache) : nil
    self.rowCapacity = rowCapacity
    runsSingly = RowChoice.runsSingly(
      latentPlaces: height * width, weightsByteCount: checkpoint.unetWeights.byteCount)
    catalogue = EngineCatalogue(
      capacity: runsSingly ? 1 : rowCapacity, weightsByteCount: checkpoint.unetWeights.byteCount
    ) { rows, chunks in
      let tokens = chunks * checkpoint.tokenCount
      let graph = try network.graph(
        .init(rows: rows, height: height, width: width, tokens: tokens, tables: tables))
      return try Session(
        ONNXModel(graph, weightsIdentity: checkpoint.unetWeights.identity),
        configuration: configuration, cache: cache)
    }
  }

  /// Makes the engine of a tick, so that the first tick need not wait for it.
  func prepare(rowCount: Int, chunks: Int) throws(EngineError) {
    _ = try catalogue.engine(for: runsSingly ? 1 : rowCount, chunks: chunks)
  }

  func begin(rowCount: Int) throws(EngineError) {
    // Let go of first: a large network's old engine must not be there while the next is made.
    current = nil
    current = try catalogue.engine(for: runsSingly ? 1 : rowCount, chunks: chunkCount)
    self.rowCount = rowCount
    loaded.removeAll(keepingCapacity: true)
  }

  func load(row: Int, sample: Span<Float>, timestep: Float, conditioning: Conditioning) {
    guard runsSingly else {
      write(row: row, sample: sample, timestep: timestep, conditioning: conditioning)
      return
    }
    precondition(row == loaded.count, "rows are loaded in their order")
    loaded.append((sample.indices.map { sample[$0] }, timestep, conditioning))
  }

  private func write(
    row: Int, sample: Span<Float>, timestep: Float, conditioning: Conditioning
  ) {
    guard let engine = current else { preconditionFailure("no tick was begun") }
    engine.session.write(sample, toRow: row, of: engine.rows, input: 0)
    if let times {
      do throws(EngineError) {
        let table = try times(timestep, others: conditioning.others)
        engine.session.write(table.span, toRow: row, of: engine.rows, input: 1)
      } catch { failure = error }
    } else {
      engine.session.write(input: 1, as: Float.self) { $0[row] = timestep }
    }
    guard engine.conditionings[row] !== conditioning else { return }
    let text = conditioning.text
    engine.session.write(
      text.span, toRow: row, of: engine.rows, input: 2,
      times: engine.chunks / conditioning.chunkCount)
    if times == nil {
      for (index, scalars) in conditioning.others.enumerated() {
        engine.session.write(scalars.span, toRow: row, of: engine.rows, input: 3 + index)
      }
    }
    engine.conditionings[row] = conditioning
  }

  func run() throws(EngineError) {
    guard let engine = current else { preconditionFailure("no tick was begun") }
    try throwFailure()
    guard runsSingly else {
      try catalogue.run(engine, rowCount: rowCount)
      return
    }
    outputs.removeAll(keepingCapacity: true)
    for (sample, timestep, conditioning) in loaded {
      write(row: 0, sample: sample.span, timestep: timestep, conditioning: conditioning)
      try throwFailure()
      try catalogue.run(engine, rowCount: 1)
      outputs.append(
        engine.session.read(output: 0, as: Float.self) { span in span.indices.map { span[$0] } })
    }
  }

  private func throwFailure() throws(EngineError) {
    guard let failure else { return }
    self.failure = nil
    throw failure
  }

  /// Whether an engine is yet to be kept in the cache.
  var hasUnkept: Bool { catalogue.hasUnkept || times?.isUnkept == true }

  /// Keeps large engines in the cache.
  func keep() {
    catalogue.keep()
    times?.keep()
  }

  /// How its engines came to be.
  var reports: [EngineReport] { (times.map { [$0.report] } ?? []) + catalogue.made }

  func withOutput(row: Int, _ body: (Span<Float>) -> Void) {
    guard let engine = current else { preconditionFailure("no tick was run") }
    guard !runsSingly else {
      let output = outputs[row]
      body(output.span)
      return
    }
    engine.session.read(output: 0, as: Float.self) { output in
      let count = output.count / engine.rows
      let part = output.extracting(row * count..<(row + 1) * count)
      body(part)
    }
  }
}
