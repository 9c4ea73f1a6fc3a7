internal import FlowCore
internal import FlowNATS
internal import Logging
internal import StreamFlow
internal import Synchronization

/// The free workers of a fleet, which upscale tiles of this worker's images.
struct FleetHelpers: TileHelpers {
  let model: String
  /// This worker.
  let worker: String
  let connection: NATSConnection
  let store: ObjectStore
  /// How long answers to a call are awaited; a round trip takes a few milliseconds.
  let patience: Duration
  let logger: Logger

  /// The maximum number of helpers of an image.
  private static let helperCount = 15

  var leastTime: Duration { .seconds(1) }

  func free(for fingerprint: String) async -> [any TileHelper] {
    let found = Mutex<[String]>([])
    let call = TileCall(
      id: NATSName.random(), model: model, fingerprint: fingerprint, worker: worker)
    let inbox = connection.newInbox()
    do {
      let answers = try connection.subscribe(inbox) { message in
        guard let offer = try? ClusterJSON.value(TileOffer.self, message.payload) else { return }
        found.withLock { if $0.count < Self.helperCount { $0.append(offer.worker) } }
      }
      // Keeps the subscription alive until here.
      defer { withExtendedLifetime(answers) {} }
      try await connection.publish(
        NATSMessage(
          ClusterNames.tileCall(model), reply: inbox, payload: try ClusterJSON.bytes(call)))
      try await Task.sleep(for: patience)
    } catch {
      if !(error is CancellationError) {
        logger.warning(
          "cannot ask for help with tiles", metadata: ["model": "\(model)", "error": "\(error)"])
      }
      return []
    }
    return found.withLock { $0 }.map { helper in
      FleetHelper(
        worker: helper, call: call.id, model: model, connection: connection, store: store,
        logger: logger)
    }
  }
}

/// Another worker.
private struct FleetHelper: TileHelper {
  let worker: String
  let call: String
  let model: String
  let connection: NATSConnection
  let store: ObjectStore
  let logger: Logger

  /// The interval at which a helper is checked, and the time that it has to answer a check.
  private static let watchInterval = Duration.milliseconds(500)
  private static let silence = Duration.seconds(5)
  /// How long a tile may take: the worker that has the image upscales it itself long before.
  private static let tileTime = Duration.seconds(600)

  func upscaled(_ tile: PixelImage, by factor: Int) async -> PixelImage? {
    guard tile.width * tile.height * factor * factor <= StoredTile.pixelCount else { return nil }
    let own = StoredTile(of: tile)
    do {
      // Also of a file that was stored in part.
      defer { remove(own) }
      try await store.put(tile.pixels, as: own.object, isNew: true)
      let answer = try await answer(
        to: TileJob(call: call, model: model, factor: factor, tile: own))
      guard let stored = answer.tile else {
        if let error = answer.error { warn(error) }
        return nil
      }
      defer { remove(stored) }
      guard stored.width == tile.width * factor, stored.height == tile.height * factor else {
        warn("its tile is \(stored.width)x\(stored.height)")
        return nil
      }
      return try await stored.image(in: store)
    } catch {
      if !(error is CancellationError) { warn("\(error)") }
      return nil
    }
  }

  private func warn(_ problem: String) {
    logger.warning(
      "a helper does not upscale a tile", metadata: ["helper": "\(worker)", "error": "\(problem)"])
  }

  /// The helper's answer.
  ///
  /// If this task is cancelled, a tile that arrives later is removed.
  ///
  /// - Throws: a `NATSError` if the helper ends or does not answer; `CancellationError`.
  private func answer(to job: TileJob) async throws -> TileAnswer {
    let (answers, answer) = AsyncStream.makeStream(of: Result<TileAnswer, any Error>.self)
    let request = NATSMessage(ClusterNames.tileWork(worker), payload: try ClusterJSON.bytes(job))
    Task {
      let result: Result<TileAnswer, any Error>
      do {
        let reply = try await connection.request(request, timeout: Self.tileTime)
        result = .success(try ClusterJSON.value(TileAnswer.self, reply.payload))
      } catch { result = .failure(error) }
      if case .terminated = answer.yield(result), let tile = try? result.get().tile {
        remove(tile)
      }
      answer.finish()
    }
    let watching = Task {
      // A process that ended has no subscription any more, which the server says at once.
      while !Task.isCancelled {
        try? await Task.sleep(for: Self.watchInterval)
        do {
          _ = try await connection.request(
            NATSMessage(ClusterNames.tileWork(worker)), timeout: Self.silence)
        } catch {
          answer.yield(.failure(error))
          return answer.finish()
        }
      }
    }
    defer { watching.cancel() }
    for await result in answers { return try result.get() }
    throw CancellationError()
  }

  /// Removes a file, not in this task, which may be cancelled.
  private func remove(_ tile: StoredTile) {
    Task { try? await store.remove(tile.object) }
  }
}
