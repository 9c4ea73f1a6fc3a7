internal import FlowCore
internal import FlowEngine
internal import FlowModels

/// What is in flight: a stream batch for each lane, all of which advance with every tick.
actor TickStage {
  private nonisolated let executor: DeviceQueue
  private var lanes: [LaneKey: Lane] = [:]

  /// The thread of the device, or of its own.
  nonisolated var unownedExecutor: UnownedSerialExecutor {
    unsafe executor.asUnownedSerialExecutor()
  }

  /// - Parameter executor: the thread that programs run on.
  init(executor: DeviceQueue) { self.executor = executor }

  private final class Lane {
    var network: VelocityNetwork
    var batch: StreamBatch<Conditioning>

    init(_ network: VelocityNetwork) {
      self.network = network
      batch = StreamBatch(rowCapacity: network.rowCapacity)
    }
  }

  /// What a tick came to.
  struct Outcome: Sendable {
    /// What has arrived, in the order of admission within each lane.
    let arrivals: [Arrival]
    /// The rows that the next tick evaluates.
    let rowCount: Int
    /// The time of the tick.
    let time: Duration
    /// The part of it inside engines.
    let engineTime: Duration
  }

  /// Takes a lane's network in, with an engine at least.
  func add(_ network: sending VelocityNetwork, to key: LaneKey) {
    network.structure = key.structure
    lanes[key] = Lane(network)
  }

  /// Takes one more engine of a lane in, from the next tick on.
  func add(_ engine: sending RowEngine, to key: LaneKey) {
    lanes[key]?.network.catalogue.add(engine)
  }

  /// Lets go of all lanes but these.
  ///
  /// - Precondition: nothing flies in the others.
  func keep(only kept: Set<LaneKey>) {
    precondition(
      lanes.allSatisfy { kept.contains($0.key) || $0.value.batch.isEmpty },
      "something flies in a lane that is let go of")
    lanes = lanes.filter { kept.contains($0.key) }
  }

  /// Admits flights, and advances everything by a step.
  ///
  /// - Precondition: the lanes of the flights were added.
  func tick(admitting flights: [Flight]) throws(EngineError) -> Outcome {
    let start = ContinuousClock.now
    for flight in flights {
      guard let lane = lanes[flight.lane] else { preconditionFailure("no lane \(flight.lane)") }
      lane.batch.admit(flight.trajectory)
    }
    var arrivals: [Arrival] = []
    var rowCount = 0
    var engineTime = Duration.zero
    for (key, lane) in lanes where !lane.batch.isEmpty {
      let before = lane.network.catalogue.runTime
      try lane.batch.advance(along: &lane.network)
      engineTime += lane.network.catalogue.runTime - before
      arrivals += lane.batch.retire().map { trajectory in
        Arrival(index: trajectory.id, size: key.size, latents: trajectory.sample)
      }
      rowCount += lane.batch.rowCount
    }
    return Outcome(
      arrivals: arrivals, rowCount: rowCount, time: .now - start, engineTime: engineTime)
  }

  /// Gives up everything in flight.
  func clear() {
    for lane in lanes.values { lane.batch = StreamBatch(rowCapacity: lane.network.rowCapacity) }
  }
}
