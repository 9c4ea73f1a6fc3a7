internal import FlowNATS
package import FlowServer
internal import Foundation
package import Logging
internal import Synchronization

/// How a worker works.
package struct WorkerSettings: Sendable {
  /// The fleet.
  package var cluster: ClusterSettings
  /// Its name among all workers.
  package var name: String
  /// What it computes with, for reports.
  package var device: String
  /// The most images that it holds; half as many again as a batch of the model has rows where nil.
  package var capacity: Int?
  /// How long a worker with a large image waits for offers of help.
  package var tilePatience = Duration.milliseconds(50)
  /// How long an offer of help holds while the first tile is on its way.
  package var tileOfferTime = Duration.seconds(2)
  /// How long what is being made has when the worker is stopped.
  package var grace = Duration.seconds(10)

  package init(cluster: ClusterSettings, name: String, device: String) {
    (self.cluster, self.name, self.device) = (cluster, name, device)
  }
}

/// Makes images of a fleet's queue with the models of this process.
package final class Worker: Sendable {
  let settings: WorkerSettings
  let service: any ImageService
  /// Takes live streams of gateways, if any.
  private let live: LiveEndpoint?
  /// Where gateways reach it, once it listens.
  private let liveHost = LivePlace()
  let connection: NATSConnection
  let layout: ClusterLayout
  let logger: Logger
  let tally = WorkerTally()
  let cancellations = Cancellations()
  private let draining = Mutex(false)

  /// Connects to a fleet's server.
  package init(
    _ settings: WorkerSettings, service: any ImageService, live: LiveEndpoint? = nil,
    logger: Logger
  ) async throws {
    self.settings = settings
    self.service = service
    self.live = live
    self.logger = logger
    connection = try await NATSConnection.connect(settings.cluster.nats)
    layout = ClusterLayout(settings: settings.cluster, stream: JetStream(connection))
  }

  /// Whether it takes nothing more.
  var isDraining: Bool { draining.withLock { $0 } }

  /// Works until the task is cancelled; what is being made then has some time to be finished, and goes
  /// back to the queue after it.
  ///
  /// - Parameter didJoin: called when the worker is one of the fleet.
  package func run(didJoin: @escaping @Sendable () async -> Void = {}) async throws {
    try await service.start()
    await service.warmUp()
    let models = await service.models().map(\.name)
    let queue = try JobQueue(connection, layout.stream, models: models)
    let capacity = await capacity()
    let liveTask: Task<Void, any Error>?
    do { liveTask = try await openLive() } catch {
      connection.close()
      await service.close()
      throw error
    }
    let listening = try listen()
    let work = Task { await self.work(queue, models: models, capacity: capacity, didJoin: didJoin) }
    await withTaskCancellationHandler {
      await work.value
    } onCancel: {
      Task { await self.stop(queue) }
    }
    liveTask?.cancel()
    _ = await liveTask?.result
    for task in listening { task.cancel() }
    try? await layout.workers.remove(ClusterNames.token(settings.name))
    connection.close()
    await service.close()
  }

  /// Upscales large images together with other workers, if this process upscales any.
  private func shareTiles(of models: [String]) async -> TileExchange? {
    guard let sharing = service.tileSharing else { return nil }
    let tiles = TileExchange(
      name: settings.name, sharing: sharing, layout: layout, connection: connection,
      patience: settings.tilePatience, offerTime: settings.tileOfferTime, tally: tally,
      logger: logger
    ) { [weak self] in
      guard let self, !isDraining, tally.busy == 0 else { return false }
      return await live?.reports().isEmpty ?? true
    }
    do { try await tiles.start(models: models) } catch {
      logger.warning("large images are not shared", metadata: ["error": "\(error)"])
    }
    return tiles
  }

  /// Starts the live endpoint, if any; nil also if the task is cancelled.
  ///
  /// - Throws: where it cannot listen.
  private func openLive() async throws -> Task<Void, any Error>? {
    guard let live else { return nil }
    let (hosts, found) = AsyncStream.makeStream(of: LiveHost.self)
    let (logger, liveHost) = (logger, liveHost)
    let task = Task {
      defer {
        found.finish()
        liveHost.set(nil)
      }
      do { try await live.run { found.yield($0) } } catch {
        // An address at which it cannot listen is the caller's error.
        if liveHost.host != nil {
          logger.error("live streams have ended", metadata: ["error": "\(error)"])
        }
        throw error
      }
    }
    for await host in hosts {
      liveHost.set(host)
      logger.info("takes live streams", metadata: ["address": "\(host.host):\(host.port)"])
      return task
    }
    task.cancel()
    try await task.value
    return nil
  }

  /// Takes nothing more, and ends what is not finished within the grace period.
  private func stop(_ queue: JobQueue) async {
    logger.info("stopping")
    draining.withLock { $0 = true }
    queue.close()
    let end = ContinuousClock.now + settings.grace
    while ContinuousClock.now < end, tally.busy > 0 {
      try? await Task.sleep(for: .milliseconds(50))
    }
    cancellations.endAll()
  }

  /// The images that it holds: half as many again as a batch has rows, so that the next ones are there
  /// when those of a batch end together.
  private func capacity() async -> Int {
    if let capacity = settings.capacity { return capacity }
    let batches = await service.models().flatMap(\.batches)
    let rows = batches.map(\.rowCapacity).max() ?? 4
    return rows + rows / 2
  }

  private func work(
    _ queue: JobQueue, models: [String], capacity: Int,
    didJoin: @escaping @Sendable () async -> Void
  ) async {
    await join(models: models, capacity: capacity)
    guard !isDraining else { return }
    logger.info(
      "joined",
      metadata: [
        "worker": "\(settings.name)", "models": "\(models.joined(separator: ", "))",
        "images": "\(capacity)",
      ])
    let tiles = await shareTiles(of: models)
    defer { tiles?.stop() }
    await didJoin()
    let beating = Task { await self.beat(models: models, capacity: capacity) }
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<capacity {
        group.addTask {
          while let delivery = await queue.next() {
            await self.perform(delivery, queue)
          }
        }
      }
    }
    beating.cancel()
    // So that nothing of it arrives after the worker has left.
    await beating.value
  }

  /// Says who it is, again and again until the fleet's streams are there.
  private func join(models: [String], capacity: Int) async {
    var isWaiting = false
    var count = 0
    while !isDraining {
      do {
        for model in models {
          let announced = AnnouncedModel(
            model: try await service.model(model), prompts: try await service.prompts(of: model))
          try await layout.models.put(
            try ClusterJSON.bytes(announced), for: ClusterNames.token(model))
        }
        try await sayHello(models: models, capacity: capacity)
        // The gateway makes the consumers when it hears of the model; a pull of one that is not there
        // has no answer.
        for model in models {
          for jobClass in JobClass.allCases {
            for lane in Lane.all(jobClass, model: model) {
              _ = try await layout.stream.consumer(lane.consumer, of: ClusterNames.jobs)
            }
          }
        }
        return
      } catch {
        // Just after it was heard of, consumers may be on their way.
        if !isWaiting, count > 3 {
          isWaiting = true
          logger.warning(
            "waiting for a gateway, which makes the streams", metadata: ["error": "\(error)"])
        }
        count += 1
        try? await Task.sleep(for: .milliseconds(count < 5 ? 100 : 1000))
      }
    }
  }

  private func sayHello(models: [String], capacity: Int) async throws {
    let heartbeat = Heartbeat(
      worker: tally.report(
        name: settings.name, device: settings.device, models: models, capacity: capacity),
      models: await service.models(), live: liveHost.host,
      streams: await live?.reports(), isDraining: isDraining)
    try await layout.workers.put(
      try ClusterJSON.bytes(heartbeat), for: ClusterNames.token(settings.name))
  }

  private func beat(models: [String], capacity: Int) async {
    while !Task.isCancelled {
      try? await Task.sleep(for: .seconds(2))
      guard !Task.isCancelled else { return }
      do { try await sayHello(models: models, capacity: capacity) } catch is CancellationError {
      } catch {
        logger.warning("cannot report to the fleet", metadata: ["error": "\(error)"])
      }
    }
  }

  /// Hears of cancelled orders, and of the connection.
  private func listen() throws -> [Task<Void, Never>] {
    let cancels = try connection.subscribe("cancel.>")
    let (connection, logger, cancellations) = (connection, logger, cancellations)
    return [
      Task {
        await cancels.forEach { message in
          cancellations.cancel(String(message.subject.dropFirst("cancel.".count)))
        }
      },
      Task { await ConnectionLog.follow(connection, logger) },
    ]
  }
}

/// Where a worker's live streams are reached; nil while they are not.
private final class LivePlace: Sendable {
  private let state = Mutex<LiveHost?>(nil)

  var host: LiveHost? { state.withLock { $0 } }
  func set(_ host: LiveHost?) { state.withLock { $0 = host } }
}

/// What a connection's changes are in the log.
enum ConnectionLog {
  static func follow(
    _ connection: NATSConnection, _ logger: Logger,
    didReturn: @Sendable () async -> Void = {}
  ) async {
    for await event in connection.events {
      switch event {
      case .disconnected: logger.warning("the NATS server is away; trying to reach it again")
      case .reconnected:
        logger.notice("the NATS server is back")
        await didReturn()
      case .closed: return
      case .refused(let words):
        logger.error("the NATS server refuses", metadata: ["reason": "\(words)"])
      }
    }
  }
}
