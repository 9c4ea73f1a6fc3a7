internal import FlowNATS
package import FlowServer
internal import Foundation
package import Logging
internal import Synchronization

/// The workers of a fleet as what makes a server's images: the gateway needs no model.
package final class ClusterService: ImageService, LivePlacement {
  let layout: ClusterLayout
  let connection: NATSConnection
  let fleet = Fleet()
  let inbox = OrderInbox()
  let calls: JobCalls
  let logger: Logger
  private let acceptsOpenAINames: Bool
  /// The models whose consumers were made.
  private let prepared = Mutex<Set<String>>([])
  private let tasks = Mutex<[Task<Void, Never>]>([])
  /// The images of this gateway that are not finished, by class.
  let outstanding = Mutex<[JobClass: Int]>([:])
  /// The jobs in the queue, of all gateways, as of the last look.
  let backlog = Mutex(0)

  /// Connects to a fleet's server, and makes its streams where they are not there.
  package init(
    _ settings: ClusterSettings, acceptsOpenAINames: Bool, logger: Logger
  ) async throws {
    self.logger = logger
    self.acceptsOpenAINames = acceptsOpenAINames
    connection = try await NATSConnection.connect(settings.nats)
    layout = ClusterLayout(settings: settings, stream: JetStream(connection))
    calls = JobCalls(connection)
    do { try await layout.ensure() } catch let error as NATSError
      where error.code == .noResponders
    {
      connection.close()
      throw NATSError(
        .noResponders,
        "the NATS server at \(settings.nats.url) stores nothing; start it with --jetstream")
    } catch {
      connection.close()
      throw error
    }
    do { try await layout.ensureTiles() } catch {
      logger.warning(
        "workers cannot share large images, since there is no store of tiles",
        metadata: ["error": "\(error)"])
    }
  }

  package var livePlacement: (any LivePlacement)? { self }

  package func start() async throws {
    // Before what is stored is read, so that nothing falls in between.
    let heartbeats = try connection.subscribe(layout.workers.subjects)
    let results = try connection.subscribe("results.>", bufferCount: 65_536)
    let progress = try connection.subscribe("progress.>")
    let exhausted = try connection.subscribe(ClusterNames.exhausted)
    for key in try await layout.models.keys() {
      if let bytes = try await layout.models.value(key) {
        await learn(try? ClusterJSON.value(AnnouncedModel.self, bytes))
      }
    }
    for key in try await layout.workers.keys() {
      if let bytes = try await layout.workers.value(key) { await hear(bytes, subject: key) }
    }
    let inbox = inbox
    let janitor = Janitor(layout: layout, logger: logger)
    let started: [Task<Void, Never>] = [
      Task { [weak self] in
        await heartbeats.forEach { await self?.hear($0.payload, subject: $0.subject) }
      },
      Task { await results.forEach { inbox.receive(result: $0.payload) } },
      Task { await progress.forEach { inbox.receive(progress: $0.payload) } },
      Task { await exhausted.forEach { await janitor.bury($0.payload) } },
      Task { await ConnectionLog.follow(connection, logger) { inbox.look(all: true) } },
      Task { [weak self] in await self?.watch(janitor) },
    ]
    tasks.withLock { $0 = started }
  }

  package func warmUp() async {}

  package func close() async {
    for task in tasks.withLock({ $0 }) { task.cancel() }
    connection.close()
  }

  /// Looks at the queue, at results that may have been missed, and for jobs that nobody will do.
  private func watch(_ janitor: Janitor) async {
    var count = 0
    while !Task.isCancelled {
      try? await Task.sleep(for: .seconds(1))
      count += 1
      if let information = try? await layout.stream.info(of: ClusterNames.jobs) {
        backlog.withLock { $0 = information.state.messages }
        if information.state.messages > 0 { await offerWhatIsLeft() }
      }
      if count % 2 == 0 { inbox.look(all: false) }
      if count % 15 == 0 { await janitor.sweep(models: fleet.modelNames) }
    }
  }

  /// Offers jobs that no worker heard of, or that come back from workers that ended.
  private func offerWhatIsLeft() async {
    let lanes = Dictionary(
      fleet.modelNames.flatMap { model in
        JobClass.allCases.flatMap { Lane.all($0, model: model) }
      }.map { ($0.consumer, $0) }, uniquingKeysWith: { first, _ in first })
    do {
      for consumer in try await layout.stream.consumers(of: ClusterNames.jobs) {
        guard let lane = lanes[consumer.name],
          consumer.num_pending > 0 || consumer.num_ack_pending > 0
        else { continue }
        // Jobs whose worker ended are not told apart from those that are being made.
        let left = min(consumer.num_pending, 64) + min(consumer.num_ack_pending, 4)
        calls.offer(lane, count: left)
        calls.tell(lane)
      }
    } catch {
      logger.warning("the queue's lanes cannot be read", metadata: ["error": "\(error)"])
    }
  }

  private func hear(_ payload: [UInt8], subject: String) async {
    guard !payload.isEmpty else {
      // It has left.
      if let name = ClusterNames.text(ofToken: layout.workers.key(of: subject)) {
        fleet.forget(name)
      }
      return
    }
    guard let heartbeat = try? ClusterJSON.value(Heartbeat.self, payload) else { return }
    for model in fleet.unknownModels(of: heartbeat) {
      guard let bytes = try? await layout.models.value(ClusterNames.token(model)) else { continue }
      await learn(try? ClusterJSON.value(AnnouncedModel.self, bytes))
    }
    // A visible worker's models must be usable.
    fleet.hear(heartbeat)
  }

  private func learn(_ announced: AnnouncedModel?) async {
    guard let announced else { return }
    do { try await prepare(announced.model.name) } catch {
      logger.error(
        "the consumers of a model cannot be made",
        metadata: ["model": "\(announced.model.name)", "error": "\(error)"])
    }
    fleet.learn(announced)
  }

  /// Makes the consumers of a model, once.
  private func prepare(_ model: String) async throws {
    guard !prepared.withLock({ $0.contains(model) }) else { return }
    try await layout.ensureConsumers(of: model)
    _ = prepared.withLock { $0.insert(model) }
  }

  // MARK: - Live streams

  package func liveHosts(
    of model: String?
  ) async throws -> (model: String, hosts: [LiveHost]) {
    let name = try await modelName(model)
    guard fleet.hasWorker(of: name) else { throw ServerError.noWorkers }
    return (name, fleet.liveHosts(of: name))
  }

  package func didOpen(at host: LiveHost) { fleet.noteStreams(1, at: host.worker) }

  package func didEnd(at host: LiveHost) { fleet.noteStreams(-1, at: host.worker) }

  package func streamCount(at worker: String?) -> Int { fleet.streamCount(at: worker) }

  package func liveHost(named worker: String) -> LiveHost? { fleet.liveHost(named: worker) }

  package func liveReports() async -> [LiveReport] { fleet.liveReports }

  // MARK: - Models

  package func models() async -> [ServiceModel] { fleet.models }

  package func workers() async -> [ServiceWorker]? { fleet.workers }

  package func modelName(_ name: String?) async throws(ServerError) -> String {
    let names = fleet.modelNames
    guard !names.isEmpty else { throw ServerError.noWorkers }
    return names[
      try ModelNames.index(of: name, among: names, acceptsOpenAINames: acceptsOpenAINames)]
  }

  package func model(_ name: String?) async throws -> ServiceModel {
    let name = try await modelName(name)
    guard let known = fleet.models.first(where: { $0.name == name }) else {
      throw ServerError.noWorkers
    }
    return known
  }

  package func prompts(of name: String?) async throws -> ModelPrompts {
    guard let known = fleet.announced(try await modelName(name)) else {
      throw ServerError.noWorkers
    }
    return known.prompts
  }
}
