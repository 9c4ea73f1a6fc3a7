internal import FlowCore
internal import FlowEngine
internal import FlowGraph
internal import FlowModels

/// The network as a velocity field.
///
/// A tick's rows run on one program, or in parts on several
/// (``EngineCatalogue/parts(for:structure:)``). The conditioning of each row is remembered, so that
/// a prompt is copied into a row only when it changes.
final class VelocityNetwork: VelocityField {
  typealias Failure = EngineError

  let catalogue: EngineCatalogue
  /// The structure of the tick's rows.
  ///
  /// The number of chunks of each conditioning divides that of the tick, or is at most that number
  /// if conditionings are padded.
  var structure = NetworkStructure()
  /// The maximum number of rows of a tick.
  let rowCapacity: Int
  /// How conditionings of different lengths share a tick.
  let layout: ConditioningLayout
  private let times: TimeTable?
  private var parts: [EngineCatalogue.Part] = []
  /// The inputs of a tick that runs in parts, and their outputs.
  private var loaded: [Row] = []
  private var outputs: [ContiguousArray<Float>] = []
  /// The error of loading rows; thrown by the run.
  private var failure: EngineError?

  private struct Row {
    let sample: ContiguousArray<Float>
    let timestep: Float
    let conditioning: Conditioning
  }

  /// - Parameters:
  ///   - blueprint: the network.
  ///   - times: computes the time projections, if it is precomputed
  ///     (``NetworkBlueprint/timeTable()``).
  ///   - rowCapacity: the maximum number of rows of a tick.
  ///   - engineRowCapacity: the maximum number of rows of a program, if it differs.
  ///   - growth: how programs are added.
  init(
    _ blueprint: NetworkBlueprint, times: TimeTable?, rowCapacity: Int,
    engineRowCapacity: Int? = nil, growth: EngineCatalogue.Growth = .asNeeded
  ) {
    self.times = times
    layout = blueprint.checkpoint.family.conditioningLayout
    self.rowCapacity = rowCapacity
    catalogue = EngineCatalogue(
      capacity: engineRowCapacity ?? (blueprint.runsSingly ? 1 : rowCapacity),
      weightsByteCount: blueprint.checkpoint.networkWeights.byteCount, growth: growth,
      provider: blueprint.provider, module: blueprint.module)
  }

  /// Makes the programs that a tick of a batch size needs.
  func prepare(
    rowCount: Int, structure: NetworkStructure? = nil, isolation: isolated (any Actor)? = #isolation
  ) async throws {
    // Released first: a large network's old program must not exist while the next is made.
    parts = []
    try await catalogue.prepare(rowCount, structure: structure ?? self.structure)
  }

  /// Makes a program of exactly a batch size.
  func prepareExactly(
    rowCount: Int, structure: NetworkStructure, isolation: isolated (any Actor)? = #isolation
  ) async throws {
    try await catalogue.prepareExactly(min(rowCount, catalogue.capacity), structure: structure)
  }

  // MARK: - A tick

  func begin(rowCount: Int) {
    parts = catalogue.parts(for: rowCount, structure: structure)
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
    loaded.append(
      Row(
        sample: ContiguousArray(sample.indices.map { sample[$0] }), timestep: timestep,
        conditioning: conditioning))
  }

  private func write(
    row: Int, of engine: RowEngine, sample: Span<Float>, timestep: Float,
    conditioning: Conditioning
  ) {
    let program = engine.program
    program.write("sample", row: row, sample)
    if let times, program.hasInput(times.input) {
      do throws(EngineError) {
        let table = try times(timestep, conditioning)
        program.write(times.input, row: row, table.span)
      } catch { failure = error }
    } else {
      program.withInput("timestep", as: Float.self) { $0[row] = timestep }
    }
    guard engine.conditionings[row] !== conditioning else { return }
    for input in conditioning.inputs {
      if program.hasInput(input.name) {
        if layout == .masked {
          program.writePadded(input.name, row: row, input.elements.span)
        } else {
          program.write(input.name, row: row, input.elements.span)
        }
      } else if times?.reads(input.name) != true {
        failure = EngineError(
          code: .shapeMismatch,
          message: "\(program.name) has no input \(input.name), which its conditioning gives; it "
            + "takes \(program.inputs.map(\.name.description).joined(separator: ", "))")
        // Not remembered: the next tick must fail too.
        return
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
        let loaded = loaded[index]
        write(
          row: row, of: part.engine, sample: loaded.sample.span, timestep: loaded.timestep,
          conditioning: loaded.conditioning)
      }
      try throwFailure()
      try catalogue.run(part.engine, rowCount: part.rows.count)
      for row in 0..<part.rows.count {
        part.engine.program.read("output", row: row, as: Float.self) { span in
          outputs.append(ContiguousArray(span.indices.map { span[$0] }))
        }
      }
    }
  }

  private func throwFailure() throws(EngineError) {
    guard let failure else { return }
    self.failure = nil
    throw failure
  }

  func withOutput(row: Int, _ body: (Span<Float>) -> Void) {
    guard parts.count > 1 else {
      parts[0].engine.program.read("output", row: row, as: Float.self, body)
      return
    }
    let output = outputs[row]
    body(output.span)
  }
}
