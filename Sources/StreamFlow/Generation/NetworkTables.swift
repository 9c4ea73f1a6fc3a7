internal import FlowEngine
internal import FlowGraph

/// The keys and values that a network's layers make of a text, computed once for each prompt.
final class TextTable {
  private var session: Session
  private let chunkLength: Int

  init(
    _ network: UNet, _ checkpoint: Checkpoint, configuration: EngineConfiguration,
    cache: EngineCache?
  ) throws {
    session = try Session(
      ONNXModel(
        network.textTableGraph(tokens: checkpoint.tokenCount),
        weightsIdentity: checkpoint.unetWeights.identity),
      configuration: configuration, cache: cache)
    chunkLength = checkpoint.tokenCount * checkpoint.unet.conditioningWidth
  }

  /// How its engine came to be.
  var report: EngineReport { EngineReport(session) }

  /// Whether the engine is yet to be kept in the cache.
  var isUnkept: Bool { session.isUnkept }

  /// Keeps a large engine in the cache.
  func keep() { session.keep() }

  /// The table of hidden states, one chunk after the other.
  func callAsFunction(_ hidden: [Float]) throws(EngineError) -> [Float] {
    var table: [Float] = []
    for start in stride(from: 0, to: hidden.count, by: chunkLength) {
      session.write(input: 0, as: Float.self) { input in
        for index in input.indices { input[index] = hidden[start + index] }
      }
      try session.run()
      session.read(output: 0, as: Float.self) { output in
        table.reserveCapacity(table.count + output.count)
        for index in output.indices { table.append(output[index]) }
      }
    }
    return table
  }
}

/// The shifts that a network's layers make of a time, computed once for each timestep.
final class TimeTable {
  private var session: Session
  private var known: [Key: [Float]] = [:]
  private var order: [Key] = []

  private struct Key: Hashable {
    let timestep: Float
    /// What else the time is made of: pooled text and sizes, a guidance scale.
    let others: [[Float]]
  }

  /// The number of times that are kept: about a plan of the longest schedules.
  private static let capacity = 1024

  init(
    _ network: UNet, _ checkpoint: Checkpoint, configuration: EngineConfiguration,
    cache: EngineCache?
  ) throws {
    session = try Session(
      ONNXModel(
        network.timeTableGraph(), weightsIdentity: checkpoint.unetWeights.identity),
      configuration: configuration, cache: cache)
  }

  /// How its engine came to be.
  var report: EngineReport { EngineReport(session) }

  /// Whether the engine is yet to be kept in the cache.
  var isUnkept: Bool { session.isUnkept }

  /// Keeps a large engine in the cache.
  func keep() { session.keep() }

  /// The table of a timestep.
  func callAsFunction(_ timestep: Float, others: [[Float]]) throws(EngineError) -> [Float] {
    let key = Key(timestep: timestep, others: others)
    if let known = known[key] { return known }
    for (index, scalars) in ([[timestep]] + others).enumerated() {
      session.write(scalars.span, toRow: 0, of: 1, input: index)
    }
    try session.run()
    let table = session.read(output: 0, as: Float.self) { span in span.indices.map { span[$0] } }
    if order.count == Self.capacity { known[order.removeFirst()] = nil }
    known[key] = table
    order.append(key)
    return table
  }
}
