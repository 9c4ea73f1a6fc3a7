internal import FlowCore
internal import FlowNATS
internal import FlowServer
internal import Foundation
internal import Logging
internal import StreamFlow
internal import Synchronization

/// How a worker upscales large images together with others that are free.
///
/// It asks by broadcast who is free, and gives each that answers a tile at a time, as a file of the
/// bucket. Nothing of this is stored in the queue: a tile that is lost is made by the worker that has
/// the image.
final class TileExchange: Sendable {
  private let name: String
  private let sharing: any TileSharing
  private let connection: NATSConnection
  private let layout: ClusterLayout
  private let logger: Logger
  /// Whether the worker has nothing else to do.
  private let isFree: @Sendable () async -> Bool
  private let isHelping = Mutex(false)
  private let tasks = Mutex<[Task<Void, Never>]>([])

  /// How long answers to a call are awaited: each takes one round trip and two hashes.
  static let patience = Duration.milliseconds(50)
  /// The most helpers of an image.
  static let helperCount = 15
  /// How long a tile may take: the worker that has the image makes it itself long before.
  private static let tileTime = Duration.seconds(600)

  init(
    name: String, sharing: any TileSharing, layout: ClusterLayout, connection: NATSConnection,
    logger: Logger, isFree: @escaping @Sendable () async -> Bool
  ) {
    (self.name, self.sharing, self.layout) = (name, sharing, layout)
    (self.connection, self.logger, self.isFree) = (connection, logger, isFree)
  }

  /// Takes tiles of others' images, and has its own made by others too.
  func start(models: [String]) throws {
    let work = try connection.subscribe(ClusterNames.tileWork(name))
    var started = [
      Task { [weak self] in await work.forEach { message in self?.take(message) } }
    ]
    for model in models {
      let calls = try connection.subscribe(ClusterNames.tileCall(model))
      started.append(
        Task { [weak self] in await calls.forEach { message in await self?.answer(message) } })
    }
    // So that the first call is answered in time.
    started.append(
      Task { [sharing] in
        for model in models { _ = try? await sharing.fingerprint(of: model) }
      })
    tasks.withLock { $0 = started }
    let (connection, layout, logger, name) = (connection, layout, logger, name)
    sharing.share { model in
      FleetHelpers(
        model: model, worker: name, connection: connection, layout: layout, logger: logger)
    }
  }

  func stop() {
    for task in tasks.withLock({ $0 }) { task.cancel() }
  }

  // MARK: - Helping

  /// Offers help where this worker can give it.
  private func answer(_ message: NATSMessage) async {
    guard let reply = message.reply, !isHelping.withLock({ $0 }), await isFree(),
      let call = try? ClusterJSON.value(TileCall.self, message.payload), call.worker != name
    else { return }
    do {
      guard try await sharing.fingerprint(of: call.model) == call.fingerprint else { return }
      connection.post(
        NATSMessage(reply, payload: try ClusterJSON.bytes(TileOffer(worker: name))))
    } catch {
      logger.warning(
        "cannot help with tiles", metadata: ["model": "\(call.model)", "error": "\(error)"])
    }
  }

  /// Makes a tile, in a task of its own.
  private func take(_ message: NATSMessage) {
    guard let reply = message.reply else { return }
    let isFirst = isHelping.withLock { isHelping in
      defer { isHelping = true }
      return !isHelping
    }
    Task {
      var answer = TileAnswer()
      if isFirst {
        do { answer.tile = try await made(message.payload) } catch {
          logger.warning("a tile failed", metadata: ["error": "\(error)"])
          answer.error = "\(error)"
        }
        isHelping.withLock { $0 = false }
      }
      guard let payload = try? ClusterJSON.bytes(answer) else { return }
      connection.post(NATSMessage(reply, payload: payload))
    }
  }

  private func made(_ payload: [UInt8]) async throws -> StoredTile? {
    guard await isFree() else { return nil }
    let job = try ClusterJSON.value(TileJob.self, payload)
    guard Upscaler.factors.contains(job.factor),
      let bytes = try await layout.objects.get(job.tile.object)
    else { return nil }
    let larger = try await sharing.upscaled(
      try job.tile.image(bytes), by: job.factor, for: job.model)
    let stored = StoredTile(
      object: ClusterNames.tile(), width: larger.width, height: larger.height)
    try await layout.objects.put(larger.pixels, as: stored.object, isNew: true)
    return stored
  }

  // MARK: - Being helped

  /// The free workers of a fleet.
  private struct FleetHelpers: TileHelpers {
    let model: String
    let worker: String
    let connection: NATSConnection
    let layout: ClusterLayout
    let logger: Logger

    func free(for fingerprint: String) async -> [any TileHelper] {
      let found = Mutex<[String]>([])
      let inbox = connection.newInbox()
      do {
        let answers = try connection.subscribe(inbox) { message in
          guard let offer = try? ClusterJSON.value(TileOffer.self, message.payload) else { return }
          found.withLock { if $0.count < TileExchange.helperCount { $0.append(offer.worker) } }
        }
        // It ends when nobody holds it.
        defer { withExtendedLifetime(answers) {} }
        try await connection.publish(
          NATSMessage(
            ClusterNames.tileCall(model), reply: inbox,
            payload: try ClusterJSON.bytes(
              TileCall(model: model, fingerprint: fingerprint, worker: worker))))
        try await Task.sleep(for: TileExchange.patience)
      } catch {
        if !(error is CancellationError) {
          logger.warning(
            "cannot ask for help with tiles", metadata: ["model": "\(model)", "error": "\(error)"])
        }
        return []
      }
      return found.withLock { $0 }.map { helper in
        FleetHelper(
          worker: helper, model: model, connection: connection, layout: layout, logger: logger)
      }
    }
  }

  /// Another worker.
  private struct FleetHelper: TileHelper {
    let worker: String
    let model: String
    let connection: NATSConnection
    let layout: ClusterLayout
    let logger: Logger

    func upscaled(_ tile: PixelImage, by factor: Int) async -> PixelImage? {
      let own = StoredTile(object: ClusterNames.tile(), width: tile.width, height: tile.height)
      do {
        try await layout.objects.put(tile.pixels, as: own.object, isNew: true)
        defer { remove(own) }
        guard let stored = try await answer(to: TileJob(model: model, factor: factor, tile: own))
        else { return nil }
        defer { remove(stored) }
        guard let bytes = try await layout.objects.get(stored.object) else { return nil }
        return try stored.image(bytes)
      } catch {
        if !(error is CancellationError) {
          logger.warning(
            "a tile is made here", metadata: ["helper": "\(worker)", "error": "\(error)"])
        }
        return nil
      }
    }

    /// The larger tile; nil where the helper is busy or cannot make it.
    ///
    /// Where this task is cancelled, a tile that comes later is removed.
    private func answer(to job: TileJob) async throws -> StoredTile? {
      let (answers, answer) = AsyncStream.makeStream(of: Result<TileAnswer, any Error>.self)
      let request = NATSMessage(
        ClusterNames.tileWork(worker), payload: try ClusterJSON.bytes(job))
      Task {
        let result: Result<TileAnswer, any Error>
        do {
          let reply = try await connection.request(request, timeout: TileExchange.tileTime)
          result = .success(try ClusterJSON.value(TileAnswer.self, reply.payload))
        } catch { result = .failure(error) }
        if case .terminated = answer.yield(result), let tile = try? result.get().tile {
          remove(tile)
        }
        answer.finish()
      }
      for await result in answers { return try result.get().tile }
      throw CancellationError()
    }

    /// Removes a file, not in this task, which may be cancelled.
    private func remove(_ tile: StoredTile) {
      Task { try? await layout.objects.remove(tile.object) }
    }
  }
}
