internal import FlowCore
internal import FlowEngine
internal import FlowGraph

/// Makes engines beside the stream, and hands them over.
actor EngineBuilder {
  private nonisolated let executor = QueueExecutor(label: "streamflow.live.build")
  private let checkpoint: Checkpoint
  private let configuration: EngineConfiguration
  private let cache: EngineCache?

  /// The thread that this actor has to itself.
  nonisolated var unownedExecutor: UnownedSerialExecutor {
    unsafe executor.asUnownedSerialExecutor()
  }

  init(_ checkpoint: Checkpoint, configuration: EngineConfiguration, cache: EngineCache?) {
    self.checkpoint = checkpoint
    self.configuration = configuration
    self.cache = cache
  }

  /// What the network's engines of a size are made from.
  func blueprint(_ size: LiveSize) throws -> NetworkBlueprint {
    let factor = checkpoint.autoencoder.factor
    return try NetworkBlueprint(
      checkpoint, height: size.height / factor, width: size.width / factor,
      configuration: configuration, cache: cache)
  }

  /// The network with one engine.
  func network(
    _ blueprint: NetworkBlueprint, rows: Int, chunks: Int
  ) throws -> sending VelocityNetwork {
    let network = try VelocityNetwork(
      blueprint, rowCapacity: RowChoice.maximum, growth: .given)
    network.catalogue.add(try Self.engine(blueprint, rows: rows, chunks: chunks))
    return network
  }

  /// One more engine of a network.
  func engine(
    _ blueprint: NetworkBlueprint, rows: Int, chunks: Int
  ) throws -> sending RowEngine {
    try Self.engine(blueprint, rows: rows, chunks: chunks)
  }

  private static func engine(
    _ blueprint: NetworkBlueprint, rows: Int, chunks: Int
  ) throws -> RowEngine {
    let engine = RowEngine(
      try blueprint.engine(rows: rows, chunks: chunks), rows: rows, chunks: chunks)
    // A first run is slow: what it takes is known from the ones after it, before the choice among
    // several is made by it.
    if blueprint.keepsSeveral { for _ in 0..<3 { try engine.run() } }
    return engine
  }

  /// What computes the keys and values of prompts, where that is done before the ticks.
  func table(_ blueprint: NetworkBlueprint) throws -> sending TextTable? {
    try blueprint.textTable()
  }

  /// What encodes inputs of a size.
  func source(_ size: LiveSize) throws -> sending SourceEncoder {
    try SourceEncoder(
      checkpoint, width: size.width, height: size.height, configuration: configuration,
      cache: cache)
  }

  /// What decodes pictures of a size, one and so many together.
  func decoder(
    _ size: LiveSize, batch: Int, tiling: DecodeTiling
  ) throws -> sending LatentDecoder {
    let factor = checkpoint.autoencoder.factor
    let decoder = LatentDecoder(
      checkpoint, height: size.height / factor, width: size.width / factor, rowCapacity: batch,
      tiling: tiling, growth: .given, configuration: configuration, cache: cache)
    for count in Set([1, batch]).sorted() { try decoder.prepare(for: count) }
    return decoder
  }

  // MARK: - Calibration

  /// Measures which row counts pay, or remembers what was measured before.
  ///
  /// - Parameters:
  ///   - blueprint: the network at a size.
  ///   - candidates: the row counts.
  ///   - chunks: the chunks of a conditioning.
  /// - Returns: the seconds of a run of each.
  func calibrate(
    _ blueprint: NetworkBlueprint, candidates: [Int], chunks: Int
  ) throws -> RowCalibration {
    let place = try cache.map { cache in
      let model = try blueprint.model(rows: 1, chunks: chunks)
      return try cache.place(of: model, configuration: configuration)
    }
    var seconds = place.flatMap { cache?.measurements(at: $0) } ?? [:]
    let missing = candidates.filter { seconds[$0] == nil }
    // In turns, so that what else the machine does befalls all alike; of a large network one after
    // another, since each is gigabytes.
    for rows in blueprint.keepsSeveral ? [missing] : missing.map({ [$0] }) {
      let engines = try rows.map { try Self.engine(blueprint, rows: $0, chunks: chunks) }
      for (engine, time) in zip(engines, try Self.seconds(of: engines)) {
        seconds[engine.rows] = time
        engine.session.keep()
      }
    }
    if let place, !missing.isEmpty { cache?.keep(seconds, at: place) }
    return RowCalibration(
      seconds: seconds.filter { candidates.contains($0.key) }, isNew: !missing.isEmpty)
  }

  /// The medians of seven rounds of runs, after one.
  private static func seconds(of engines: [RowEngine]) throws(EngineError) -> [Double] {
    var times = [[Double]](repeating: [], count: engines.count)
    for _ in 0..<8 {
      for (index, engine) in engines.enumerated() {
        times[index].append(try engine.run() / .seconds(1))
      }
    }
    return times.map { $0.dropFirst().sorted()[3] }
  }
}

/// What runs of different row counts take.
public struct RowCalibration: Equatable, Sendable {
  /// The seconds of a run, by its rows.
  public let seconds: [Int: Double]
  /// Whether anything of it was measured just now; the rest is remembered.
  public let isNew: Bool

  /// The rows that make most rows a second; of those within 3 % of it the fewest, since fewer rows
  /// in flight are less delay.
  public var rows: Int {
    let best = seconds.map { $0.value / Double($0.key) }.min() ?? 0
    return seconds.filter { $0.value / Double($0.key) <= best * 1.03 }.keys.min() ?? 1
  }

  /// How many times as many rows a second that is as with one row a run.
  public var gain: Double {
    guard let one = seconds[1], let chosen = seconds[rows] else { return 1 }
    return one * Double(rows) / chosen
  }
}
