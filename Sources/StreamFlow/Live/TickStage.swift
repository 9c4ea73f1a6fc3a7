internal import FlowCore
internal import FlowEngine
internal import FlowModels

/// The images in flight: a stream batch for each lane, all of which advance with every tick.
actor TickStage {
  private nonisolated let executor: DeviceQueue
  private var lanes: [LaneKey: Lane] = [:]

  /// The device's thread, or its own.
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

  /// The result of a tick.
  struct Outcome: Sendable {
    /// The arrived trajectories, in the order of admission within each lane.
    let arrivals: [Arrival]
    /// The number of rows of the next tick.
    let rowCount: Int
    /// The time of the tick.
    let time: Duration
    /// The part of it inside engines.
    let engineTime: Duration
  }

  /// Adds a lane's network, with at least one engine.
  func add(_ network: sending VelocityNetwork, to key: LaneKey) {
    network.structure = key.structure
    lanes[key] = Lane(network)
  }

  /// Adds an engine of a lane, from the next tick on.
  func add(_ engine: sending RowEngine, to key: LaneKey) {
    lanes[key]?.network.catalogue.add(engine)
  }

  /// Removes all other lanes.
  ///
  /// - Precondition: nothing is in flight in the others.
  func keep(only kept: Set<LaneKey>) {
    precondition(
      lanes.allSatisfy { kept.contains($0.key) || $0.value.batch.isEmpty },
      "something is in flight in a removed lane")
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

  /// Cancels everything in flight.
  func clear() {
    for lane in lanes.values { lane.batch = StreamBatch(rowCapacity: lane.network.rowCapacity) }
  }
}
