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
  private var current: RowEngine?
  private var rowCount = 0

  init(
    _ checkpoint: Checkpoint, height: Int, width: Int, rowCapacity: Int,
    configuration: EngineConfiguration, cache: EngineCache?
  ) {
    let network = UNet(configuration: checkpoint.unet, weights: checkpoint.unetWeights.root)
    catalogue = EngineCatalogue(
      capacity: rowCapacity, weightsByteCount: checkpoint.unetWeights.byteCount
    ) { rows, chunks in
      let tokens = chunks * checkpoint.tokenCount
      let graph = try network.graph(
        .init(rows: rows, height: height, width: width, tokens: tokens))
      return try Session(
        ONNXModel(graph, weightsIdentity: checkpoint.unetWeights.identity),
        configuration: configuration, cache: cache)
    }
  }

  var rowCapacity: Int { catalogue.capacity }

  func begin(rowCount: Int) throws(EngineError) {
    // Let go of first: a large network's old engine must not be there while the next is made.
    current = nil
    current = try catalogue.engine(for: rowCount, chunks: chunkCount)
    self.rowCount = rowCount
  }

  func load(row: Int, sample: Span<Float>, timestep: Float, conditioning: Conditioning) {
    guard let engine = current else { preconditionFailure("no tick was begun") }
    engine.session.write(sample, toRow: row, of: engine.rows, input: 0)
    engine.session.write(input: 1, as: Float.self) { $0[row] = timestep }
    guard engine.conditionings[row] !== conditioning else { return }
    for (index, scalars) in conditioning.inputs.enumerated() {
      engine.session.write(
        scalars.span, toRow: row, of: engine.rows, input: 2 + index,
        times: index == 0 ? engine.chunks / conditioning.chunkCount : 1)
    }
    engine.conditionings[row] = conditioning
  }

  func run() throws(EngineError) {
    guard let engine = current else { preconditionFailure("no tick was begun") }
    try catalogue.run(engine, rowCount: rowCount)
  }

  func withOutput(row: Int, _ body: (Span<Float>) -> Void) {
    guard let engine = current else { preconditionFailure("no tick was run") }
    engine.session.read(output: 0, as: Float.self) { output in
      let count = output.count / engine.rows
      let part = output.extracting(row * count..<(row + 1) * count)
      body(part)
    }
  }
}
