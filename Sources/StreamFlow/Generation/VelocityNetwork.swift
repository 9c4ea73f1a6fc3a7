internal import FlowCore
internal import FlowEngine
internal import FlowGraph

/// The network as a field.
///
/// A tick's rows run on one engine, or in parts on several (``EngineCatalogue/parts(for:chunks:)``).
/// What a row's conditioning was is remembered, so that a prompt is copied into a row only when
/// it changes.
final class VelocityNetwork: VelocityField {
  let catalogue: EngineCatalogue
  /// The chunks of a tick's conditionings; each one's own number divides it.
  var chunkCount = 1
  /// The most rows of a tick.
  let rowCapacity: Int
  private let times: TimeTable?
  private var parts: [EngineCatalogue.Part] = []
  /// What was loaded for a tick that runs in parts, and what they gave.
  private var loaded: [(sample: [Float], timestep: Float, conditioning: Conditioning)] = []
  private var outputs: [[Float]] = []
  /// What went wrong while rows were loaded; the run throws it.
  private var failure: EngineError?

  /// - Parameters:
  ///   - blueprint: what the network is.
  ///   - rowCapacity: the most rows of a tick.
  ///   - engineRowCapacity: the most rows of an engine, if not those of a tick.
  ///   - growth: who makes its engines.
  init(
    _ blueprint: NetworkBlueprint, rowCapacity: Int, engineRowCapacity: Int? = nil,
    growth: EngineCatalogue.Growth = .asNeeded
  ) throws {
    times =
      try blueprint.tables.contains(.time)
      ? TimeTable(
        blueprint.network, blueprint.checkpoint, configuration: blueprint.configuration,
        cache: blueprint.cache) : nil
    self.rowCapacity = rowCapacity
    catalogue = EngineCatalogue(
      capacity: engineRowCapacity ?? (blueprint.runsSingly ? 1 : rowCapacity),
      weightsByteCount: blueprint.checkpoint.unetWeights.byteCount, growth: growth,
      make: blueprint.engine)
  }

  /// Makes the engine of a tick, so that the first tick need not wait for it.
  func prepare(rowCount: Int, chunks: Int) throws(EngineError) {
    _ = try catalogue.engine(for: min(rowCount, catalogue.capacity), chunks: chunks)
  }

  /// Makes an engine of just so many rows.
  func prepareExactly(rowCount: Int, chunks: Int) throws(EngineError) {
    try catalogue.prepareExactly(min(rowCount, catalogue.capacity), chunks: chunks)
  }

  func begin(rowCount: Int) throws(EngineError) {
    // Let go of first: a large network's old engine must not be there while the next is made.
    parts = []
    parts = try catalogue.parts(for: rowCount, chunks: chunkCount)
    loaded.removeAll(keepingCapacity: true)
  }

  func load(row: Int, sample: Span<Float>, timestep: Float, conditioning: Conditioning) {
    guard parts.count > 1 else {
      write(
        row: row, of: parts[0].engine, sample: sample, timestep: timestep,
        conditioning: conditioning)
      return
    }
    precondition(row == loaded.count, "rows are loaded in their order")
    loaded.append((sample.indices.map { sample[$0] }, timestep, conditioning))
  }

  private func write(
    row: Int, of engine: RowEngine, sample: Span<Float>, timestep: Float,
    conditioning: Conditioning
  ) {
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
    try throwFailure()
    guard parts.count > 1 else {
      try catalogue.run(parts[0].engine, rowCount: parts[0].rows.count)
      return
    }
    outputs.removeAll(keepingCapacity: true)
    for part in parts {
      for (row, index) in part.rows.enumerated() {
        let (sample, timestep, conditioning) = loaded[index]
        write(
          row: row, of: part.engine, sample: sample.span, timestep: timestep,
          conditioning: conditioning)
      }
      try throwFailure()
      try catalogue.run(part.engine, rowCount: part.rows.count)
      for row in 0..<part.rows.count {
        withOutput(row: row, of: part.engine) { span in
          outputs.append(span.indices.map { span[$0] })
        }
      }
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
    guard parts.count > 1 else { return withOutput(row: row, of: parts[0].engine, body) }
    let output = outputs[row]
    body(output.span)
  }

  private func withOutput(row: Int, of engine: RowEngine, _ body: (Span<Float>) -> Void) {
    engine.session.read(output: 0, as: Float.self) { output in
      let count = output.count / engine.rows
      body(output.extracting(row * count..<(row + 1) * count))
    }
  }
}
