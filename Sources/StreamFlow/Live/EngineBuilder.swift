internal import FlowCore
internal import FlowEngine
internal import FlowGraph
internal import FlowModels

/// Makes the engines of a stream's stages and hands them over; compilation does not block the
/// stream.
actor EngineBuilder {
  private let checkpoint: Checkpoint
  private let provider: EngineProvider

  /// The device's thread, on which programs run for the first time.
  nonisolated var unownedExecutor: UnownedSerialExecutor {
    unsafe provider.store.queue.asUnownedSerialExecutor()
  }

  init(_ checkpoint: Checkpoint, provider: EngineProvider) {
    self.checkpoint = checkpoint
    self.provider = provider
  }

  /// The blueprint of the network's programs at a size.
  func blueprint(_ size: PixelSize) throws -> NetworkBlueprint {
    let factor = checkpoint.autoencoder.factor
    return try NetworkBlueprint(
      checkpoint, height: size.height / factor, width: size.width / factor, provider: provider)
  }

  /// The network with one program.
  func network(
    _ blueprint: NetworkBlueprint, rows: Int, structure: NetworkStructure
  ) async throws -> sending VelocityNetwork {
    let network = VelocityNetwork(
      blueprint, times: try await blueprint.timeTable(), rowCapacity: RowChoice.maximum,
      growth: .given)
    network.catalogue.add(try await engine(blueprint, rows: rows, structure: structure))
    return network
  }

  /// Makes another program of a network.
  func engine(
    _ blueprint: NetworkBlueprint, rows: Int, structure: NetworkStructure
  ) async throws -> sending RowEngine {
    let module = try blueprint.module(rows: rows, structure: structure)
    let engine = RowEngine(
      try await provider.program(for: module), rows: rows, structure: structure)
    // A first run is slow, so that the time of a run is taken from later ones, before the choice
    // among several programs depends on it.
    if blueprint.keepsSeveral { for _ in 0..<3 { try engine.program.run() } }
    return engine
  }

  /// Makes the encoder of inputs of a size.
  nonisolated func source(_ size: PixelSize) async throws -> sending SourceEncoder {
    try await .make(checkpoint, width: size.width, height: size.height, provider: provider)
  }

  /// Makes the decoder of images of a size, for one and for several together.
  nonisolated func decoder(
    _ size: PixelSize, options: LiveOptions
  ) async throws -> sending LatentDecoder {
    let factor = checkpoint.autoencoder.factor
    let decoder = LatentDecoder(
      checkpoint, height: size.height / factor, width: size.width / factor,
      rowCapacity: options.decodeBatch, tiling: options.decodeTiling,
      decodesChanges: options.decodesChanges, growth: .given, provider: provider)
    for count in Set([1, options.decodeBatch]).sorted() { try await decoder.prepare(for: count) }
    return decoder
  }

  // MARK: - Calibration

  /// Measures the throughput of row counts, or recalls earlier measurements.
  ///
  /// - Parameters:
  ///   - blueprint: the network at a size.
  ///   - candidates: the row counts.
  ///   - structure: the structure of the rows.
  /// - Returns: the seconds of a run of each.
  func calibrate(
    _ blueprint: NetworkBlueprint, candidates: [Int], structure: NetworkStructure
  ) async throws -> RowCalibration {
    let kind = try blueprint.module(rows: 1, structure: structure)
    var seconds = try await provider.store.measurements(of: kind)
    let missing = candidates.filter { seconds[$0] == nil }
    // Interleaved, so that other load on the machine affects all alike; one after another for a
    // large network, since each engine takes gigabytes.
    for rows in blueprint.keepsSeveral ? [missing] : missing.map({ [$0] }) {
      var engines: [RowEngine] = []
      for count in rows {
        engines.append(try await engine(blueprint, rows: count, structure: structure))
      }
      for (engine, time) in zip(engines, try Self.seconds(of: engines)) {
        seconds[engine.rows] = time
      }
      await provider.store.persist()
    }
    if !missing.isEmpty { try await provider.store.persist(seconds, of: kind) }
    return RowCalibration(
      seconds: seconds.filter { candidates.contains($0.key) }, isNew: !missing.isEmpty)
  }

  /// The medians of seven rounds of runs, after one warm-up run.
  private static func seconds(of engines: [RowEngine]) throws(EngineError) -> [Double] {
    var times = [[Double]](repeating: [], count: engines.count)
    for _ in 0..<8 {
      for (index, engine) in engines.enumerated() {
        times[index].append(try engine.program.run() / .seconds(1))
      }
    }
    return times.map { $0.dropFirst().sorted()[3] }
  }
}

/// The time of runs with different row counts.
public struct RowCalibration: Equatable, Sendable {
  /// The seconds of a run, by its number of rows.
  public let seconds: [Int: Double]
  /// Whether any of it was measured just now; otherwise all of it was recalled.
  public let isNew: Bool

  /// The row count with the highest throughput; among those within 3 % of it the lowest, since
  /// fewer rows in flight mean less delay.
  public var rows: Int {
    let best = seconds.map { $0.value / Double($0.key) }.min() ?? 0
    return seconds.filter { $0.value / Double($0.key) <= best * 1.03 }.keys.min() ?? 1
  }

  /// The throughput of that row count relative to one row.
  public var gain: Double {
    guard let one = seconds[1], let chosen = seconds[rows] else { return 1 }
    return one * Double(rows) / chosen
  }
}
