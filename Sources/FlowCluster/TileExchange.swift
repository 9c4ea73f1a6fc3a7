internal import FlowCore
internal import FlowNATS
internal import FlowServer
internal import Logging
internal import StreamFlow
internal import Synchronization

/// Upscales tiles for other workers, and this worker's large images together with workers that are
/// free.
///
/// A worker asks by broadcast who is free, and gives each that answers one tile at a time, as a
/// file of a bucket. None of this is in the queue: the worker that has the image upscales lost
/// tiles.
final class TileExchange: Sendable {
  /// The image that this worker has offered to help with, and when the offer ends.
  private struct Offer {
    let call: String
    var end: ContinuousClock.Instant
  }

  private struct State {
    var offer: Offer?
    var isHelping = false
    var tasks: [Task<Void, Never>] = []

    /// Whether the worker is reserved for an image.
    var isReserved: Bool { isHelping || offer.map { $0.end > .now } ?? false }
  }

  private let name: String
  private let sharing: any TileSharing
  private let connection: NATSConnection
  private let layout: ClusterLayout
  private let patience: Duration
  private let offerTime: Duration
  private let logger: Logger
  /// Counts a tile as an image that the worker makes, so that others get the next ones.
  private let tally: WorkerTally
  /// Whether the worker has nothing else to do.
  private let isFree: @Sendable () async -> Bool
  private let state = Mutex(State())

  /// How long an offer holds while the next tile is on its way.
  private static let tileGap = Duration.milliseconds(500)

  /// - Parameters:
  ///   - name: the worker's name.
  ///   - sharing: upscales its images and tiles.
  ///   - patience: how long answers to a call are awaited.
  ///   - offerTime: how long an offer holds while the first tile is on its way.
  ///   - tally: the worker's counters.
  ///   - isFree: whether the worker has nothing else to do.
  init(
    name: String, sharing: any TileSharing, layout: ClusterLayout, connection: NATSConnection,
    patience: Duration, offerTime: Duration, tally: WorkerTally, logger: Logger,
    isFree: @escaping @Sendable () async -> Bool
  ) {
    (self.name, self.sharing, self.layout) = (name, sharing, layout)
    (self.connection, self.patience, self.offerTime) = (connection, patience, offerTime)
    self.tally = tally
    (self.logger, self.isFree) = (logger, isFree)
  }

  /// Starts upscaling tiles for other workers, and sharing this worker's images.
  ///
  /// - Parameter models: the worker's models, which are loaded.
  func start(models: [String]) async throws {
    // So that the first call is answered in time.
    for model in models { _ = try await sharing.fingerprint(of: model) }
    let work = try connection.subscribe(ClusterNames.tileWork(name))
    let calls = try models.map { try connection.subscribe(ClusterNames.tileCall($0)) }
    let tasks =
      [Task { [weak self] in await work.forEach { message in self?.take(message) } }]
      + calls.map { call in
        Task { [weak self] in await call.forEach { message in await self?.answer(message) } }
      }
    state.withLock { $0.tasks = tasks }
    sharing.share { [connection, layout, name, patience, logger] model in
      FleetHelpers(
        model: model, worker: name, connection: connection, store: layout.tiles,
        patience: patience, logger: logger)
    }
  }

  func stop() {
    sharing.share(with: nil)
    for task in state.withLock({ $0.tasks }) { task.cancel() }
  }

  /// Sends an answer to where workers receive answers, and nowhere else.
  private func reply(_ payload: [UInt8] = [], to message: NATSMessage) {
    guard isAnswerable(message), let reply = message.reply else { return }
    connection.post(NATSMessage(reply, payload: payload))
  }

  /// Whether the answer goes to an inbox of workers.
  ///
  /// The server would let this worker answer to any subject.
  private func isAnswerable(_ message: NATSMessage) -> Bool {
    guard let reply = message.reply, reply.hasPrefix("\(connection.inboxPrefix).") else {
      logger.debug(
        "the reply subject of a tile message does not have this worker's inbox prefix",
        metadata: ["reply": "\(message.reply ?? "")", "prefix": "\(connection.inboxPrefix)"])
      return false
    }
    return true
  }

  /// Offers help to one image at a time.
  private func answer(_ message: NATSMessage) async {
    // The cheap checks come first: the upscaler answers only between two tiles.
    guard let call = try? ClusterJSON.value(TileCall.self, message.payload), call.worker != name,
      isAnswerable(message), !isReserved, await isFree()
    else { return }
    do {
      guard try await sharing.fingerprint(of: call.model) == call.fingerprint,
        offers(to: call.id)
      else { return }
      reply(try ClusterJSON.bytes(TileOffer(worker: name)), to: message)
    } catch {
      logger.warning(
        "cannot help with tiles", metadata: ["model": "\(call.model)", "error": "\(error)"])
    }
  }

  private var isReserved: Bool { state.withLock { $0.isReserved } }

  private func offers(to call: String) -> Bool {
    state.withLock { state in
      guard !state.isReserved else { return false }
      state.offer = Offer(call: call, end: .now + offerTime)
      return true
    }
  }

  /// Upscales a tile, in a task of its own.
  private func take(_ message: NATSMessage) {
    guard !message.payload.isEmpty else {
      // The requester checks that this worker still runs.
      return reply(to: message)
    }
    Task {
      var answer = TileAnswer()
      do {
        let job = try ClusterJSON.value(TileJob.self, message.payload)
        if begins(job) {
          defer { end() }
          if await isFree() {
            tally.begin()
            defer { tally.end() }
            answer = try await upscaled(job)
          }
        }
      } catch {
        logger.warning("a tile failed", metadata: ["error": "\(error)"])
        answer.error = "\(error)"
      }
      guard let payload = try? ClusterJSON.bytes(answer) else { return }
      reply(payload, to: message)
    }
  }

  /// Whether this worker is free for a tile of an image that it offered help with.
  private func begins(_ job: TileJob) -> Bool {
    state.withLock { state in
      guard !state.isHelping, state.offer?.call == job.call else { return false }
      state.isHelping = true
      return true
    }
  }

  private func end() {
    state.withLock { state in
      state.isHelping = false
      state.offer?.end = .now + Self.tileGap
    }
  }

  private func upscaled(_ job: TileJob) async throws -> TileAnswer {
    guard Upscaler.factors.contains(job.factor) else {
      return TileAnswer(error: "tiles are not upscaled by \(job.factor)")
    }
    guard try await sharing.fingerprint(of: job.model) != nil else {
      return TileAnswer(error: "the model's upscaler is not loaded")
    }
    guard let tile = try await job.tile.image(in: layout.tiles) else {
      return TileAnswer(error: "the tile is not stored any more")
    }
    guard tile.width * tile.height * job.factor * job.factor <= StoredTile.pixelCount else {
      return TileAnswer(error: "the larger tile would have too many pixels")
    }
    let larger = try await sharing.upscaled(tile, by: job.factor, for: job.model)
    let stored = StoredTile(of: larger)
    try await layout.tiles.put(larger.pixels, as: stored.object, isNew: true)
    return TileAnswer(tile: stored)
  }
}
