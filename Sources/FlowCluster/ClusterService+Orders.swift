package import FlowServer
internal import FlowNATS
internal import Foundation
internal import Logging
internal import Synchronization

extension ClusterService {
  /// An order in progress.
  private struct Order {
    let id: String
    let model: String
    let jobClass: JobClass
    let work: ServiceOrder
    let portable: PortableOrder
    let submitted = Date()
    /// The images whose files were damaged on the way, and which are made once more.
    var remade: Set<Int> = []
    /// The images that are not finished.
    var left: Set<Int>
    var hasBegun = false
    let start = ContinuousClock.now
    /// The images whose files are being fetched, and the results that wait for their turn.
    var fetching: Set<Int> = []
    var waiting: [ClusterResult] = []
    /// The removals of files that were handed on.
    var removals: [Task<Void, Never>] = []

    /// One of its images as it lies in the queue.
    func job(_ index: Int) throws -> ClusterJob {
      ClusterJob(
        order: id, index: index, jobClass: jobClass, model: model, client: work.client,
        submitted: submitted, deadline: work.deadline,
        request: try portable.json(ofImage: index), requestVersion: portable.version,
        input: portable.input == nil ? nil : ClusterNames.input(of: id))
    }
  }

  /// The most files of an order that are fetched at once: each takes some round trips.
  private static let fetchCount = 8

  /// The most jobs of an order that are on their way into the queue at once.
  private static let publishCount = 16

  /// How long the first news of an order may take before its known warnings are reported.
  private static let patience = Duration.seconds(5)

  package func make(
    _ work: ServiceOrder,
    begun: @escaping @Sendable (_ warnings: [ResponseWarning]?) async -> Void,
    event: @escaping @Sendable (ImageEvent) async throws -> Void
  ) async throws {
    let model = try await modelName(work.model)
    let jobClass = JobClass(work.urgency)
    try admit(work, model: model, jobClass)
    var order = Order(
      id: NATSName.random(), model: model, jobClass: jobClass, work: work,
      portable: try PortableOrder(work, model: model), left: Set(work.imageIndices))
    let news = inbox.open(order.id)
    let count = order.left.count
    outstanding.withLock { $0[jobClass, default: 0] += count }
    let finished = Mutex(0)
    defer {
      inbox.close(order.id)
      outstanding.withLock { $0[jobClass, default: 0] -= count - finished.withLock { $0 } }
    }
    do {
      try await submit(order)
      for await item in news {
        try Task.checkCancellation()
        let before = order.left.count
        try await handle(item, of: &order, begun: begun, event: event)
        let done = before - order.left.count
        if done > 0 {
          finished.withLock { $0 += done }
          outstanding.withLock { $0[jobClass, default: 0] -= done }
        }
        if order.left.isEmpty { break }
      }
      try Task.checkCancellation()
      guard order.left.isEmpty else { throw ServerError.stopping }
      await removeInput(of: order)
      for removal in order.removals { await removal.value }
    } catch {
      // Not in this task, which may be cancelled.
      let id = order.id
      Task { await self.cancel(id) }
      throw error
    }
  }

  // MARK: - Taking orders

  /// Refuses what would not be made in time.
  private func admit(
    _ work: ServiceOrder, model: String, _ jobClass: JobClass
  ) throws(ServerError) {
    // A job waits for workers as long as it takes; nobody looks at an empty page for that.
    guard jobClass != .bulk else { return }
    guard fleet.hasWorker(of: model) else { throw .noWorkers }
    let ahead = max(
      backlog.withLock { $0 } - outstanding.withLock { $0[.bulk, default: 0] }, 0)
    let rate = fleet.rate(of: model)
    guard let deadline = work.deadline, rate > 0 else { return }
    let wait = Double(ahead + work.imageIndices.count) / rate
    let left = deadline.timeIntervalSinceNow
    guard wait <= left else {
      throw full(
        "\(ahead) images wait and the workers make \(Self.text(rate)) a second, so these would take "
          + "\(Int(wait)) s and may take \(Int(left))", wait: wait - left)
    }
  }

  private static func text(_ number: Double) -> String { String(format: "%.1f", number) }

  private func full(_ words: String, wait: Double) -> ServerError {
    let seconds = max(1, min(600, Int(wait.rounded(.up))))
    return ServerError(
      status: 429, code: "queue_full", message: "\(words); try again in \(seconds) s",
      retryAfter: seconds)
  }

  /// Puts the jobs of an order into the queue.
  private func submit(_ order: Order) async throws {
    if let file = order.portable.input {
      do {
        try await layout.objects.put(file, as: ClusterNames.input(of: order.id))
      } catch let error as NATSError where error.code == .full {
        throw full("the store of images is full", wait: 30)
      }
    }
    // The first alone, since a full queue refuses the order; the others concurrently, since each waits for
    // the server to store it.
    guard let first = order.work.imageIndices.first else { return }
    try await publish(order.job(first), isFirst: true)
    try await withThrowingTaskGroup(of: Void.self) { group in
      for (number, index) in order.work.imageIndices.dropFirst().enumerated() {
        if number >= Self.publishCount { try await group.next() }
        let job = try order.job(index)
        group.addTask { try await self.publish(job, isFirst: false) }
      }
      try await group.waitForAll()
    }
  }

  /// Puts a job into the queue; a job of many images waits for room for the rest of them.
  private func publish(
    _ job: ClusterJob, as name: String? = nil, isFirst: Bool
  ) async throws {
    let payload = try ClusterJSON.bytes(job)
    guard payload.count <= ClusterLayout.jobByteCount else {
      throw ServerError(
        status: 400, code: "too_long",
        message: "the parameters of an image take \(payload.count) bytes, at most "
          + "\(ClusterLayout.jobByteCount) are taken; shorten the prompt")
    }
    let start = ContinuousClock.now
    while true {
      do {
        try await layout.stream.publish(
          NATSMessage(
            job.lane.subject(of: job.id), headers: ["Nats-Msg-Id": name ?? job.id],
            payload: payload))
        let waiting = outstanding.withLock { $0.values.reduce(0, +) }
        calls.announce(job.lane, isNews: fleet.freeCount(of: job.model) < 2 * waiting)
        return
      } catch let error as NATSError where error.code == .full {
        guard job.jobClass == .bulk, !isFirst else {
          let waiting = backlog.withLock { $0 }
          let rate = max(fleet.rate(of: job.model), 0.1)
          throw full(
            "the queue is full (\(max(waiting, layout.settings.queueCount)) images)",
            wait: Double(max(waiting, 1)) / rate)
        }
        try await Task.sleep(for: .milliseconds(500))
      } catch let error as NATSError where error.isOfConnection {
        // The server may be back in a moment; what it has stored already it will know by its id.
        guard job.jobClass == .bulk || .now - start < Self.patience else {
          throw ServerError(
            status: 503, code: "cluster_unavailable",
            message: "the queue of the workers does not answer; try again", retryAfter: 5)
        }
        try await Task.sleep(for: .milliseconds(500))
      }
    }
  }

  /// Tells workers that an order is not wanted.
  private func cancel(_ order: String) async {
    try? await connection.publish(NATSMessage(ClusterNames.cancel(order)))
    try? await layout.cancelled.put(Array("1".utf8), for: order)
    try? await layout.objects.remove(ClusterNames.input(of: order))
  }

  private func removeInput(of order: Order) async {
    guard order.portable.input != nil else { return }
    try? await layout.objects.remove(ClusterNames.input(of: order.id))
  }

  // MARK: - News

  private func handle(
    _ news: OrderInbox.News, of order: inout Order,
    begun: @Sendable (_ warnings: [ResponseWarning]?) async -> Void,
    event: @Sendable (ImageEvent) async throws -> Void
  ) async throws {
    switch news {
    case .progress(let progress):
      guard let index = ClusterJob.index(of: progress.id), order.left.contains(index) else {
        return
      }
      if progress.worker != nil { await begin(&order, progress.warnings, begun) }
      if let number = progress.number, let file = progress.file {
        await begin(&order, order.portable.warnings, begun)
        try await event(
          .preview(
            ImageEvent.Picture(
              index: index, width: progress.width ?? 0, height: progress.height ?? 0,
              file: Array(file)), number: number))
      }
    case .result(let result): try await take(result, of: &order, begun: begun, event: event)
    case .file(let result, let file):
      if let index = ClusterJob.index(of: result.id) { order.fetching.remove(index) }
      if !order.waiting.isEmpty { fetch(order.waiting.removeFirst(), of: &order) }
      try await finish(result, file, of: &order, begun: begun, event: event)
    case .look(let all):
      if !order.hasBegun, .now - order.start > Self.patience {
        await begin(&order, order.portable.warnings, begun)
      }
      // One result a second goes missing where everything does; on the way back, all are looked at.
      for index in all ? order.left.sorted() : Array(order.left.sorted().prefix(8)) {
        guard let result = try? await layout.result(of: "\(order.id)-\(index)") else { continue }
        try await take(result, of: &order, begun: begun, event: event)
      }
    }
  }

  private func begin(
    _ order: inout Order, _ warnings: [ResponseWarning]?,
    _ begun: @Sendable (_ warnings: [ResponseWarning]?) async -> Void
  ) async {
    guard !order.hasBegun else { return }
    order.hasBegun = true
    await begun(warnings)
  }

  private func take(
    _ result: ClusterResult, of order: inout Order,
    begun: @Sendable (_ warnings: [ResponseWarning]?) async -> Void,
    event: @Sendable (ImageEvent) async throws -> Void
  ) async throws {
    guard let index = ClusterJob.index(of: result.id), order.left.contains(index),
      !order.fetching.contains(index), !order.waiting.contains(where: { $0.id == result.id })
    else { return }
    guard result.status == .done else {
      return try await finish(result, .success(nil), of: &order, begun: begun, event: event)
    }
    if order.fetching.count < Self.fetchCount {
      fetch(result, of: &order)
    } else {
      order.waiting.append(result)
    }
  }

  /// Fetches the file of a finished image, which is news of the order then.
  private func fetch(_ result: ClusterResult, of order: inout Order) {
    guard let index = ClusterJob.index(of: result.id) else { return }
    order.fetching.insert(index)
    Task { inbox.receive(result, await file(of: result.picture)) }
  }

  private func finish(
    _ result: ClusterResult, _ file: Result<[UInt8]?, ServerError>, of order: inout Order,
    begun: @Sendable (_ warnings: [ResponseWarning]?) async -> Void,
    event: @Sendable (ImageEvent) async throws -> Void
  ) async throws {
    guard let index = ClusterJob.index(of: result.id), order.left.contains(index) else { return }
    switch result.status {
    case .done:
      let bytes: [UInt8]
      do throws(ServerError) {
        guard let found = try file.get() else { return }
        bytes = found
      } catch {
        guard error.isOfFile else {
          order.left.remove(index)
          return try await event(.failed(index: index, error))
        }
        return try await remake(index, of: &order, after: error, event: event)
      }
      await begin(&order, result.warnings ?? order.portable.warnings, begun)
      order.left.remove(index)
      try await event(
        .finished(
          ImageEvent.Picture(
            index: index, width: result.picture?.width ?? 0, height: result.picture?.height ?? 0,
            file: bytes), seed: result.picture?.seed ?? 0))
      // It was handed on: nobody else wants it.
      if let picture = result.picture {
        let objects = layout.objects
        order.removals.append(Task { try? await objects.remove(picture.object) })
      }
    case .cancelled: throw CancellationError()
    case .failed:
      let error =
        result.error
        ?? ServerError(
          status: 500, code: "image_lost",
          message: "a worker says that an image failed, and not why")
      // What is wrong with the order is wrong with all of its images.
      guard error.isOfOneImage || error.isOfHost else { throw error }
      await begin(&order, order.portable.warnings, begun)
      order.left.remove(index)
      try await event(.failed(index: index, error))
    }
  }

  /// Has an image made once more whose file is gone or damaged.
  private func remake(
    _ index: Int, of order: inout Order, after error: ServerError,
    event: @Sendable (ImageEvent) async throws -> Void
  ) async throws {
    guard order.remade.insert(index).inserted else {
      order.left.remove(index)
      return try await event(.failed(index: index, error))
    }
    let job = try order.job(index)
    // Its result is what there is of it: without it, another one counts.
    try await layout.stream.purge(ClusterNames.result(of: job.id), of: ClusterNames.results)
    try await publish(job, as: "\(job.id)-again", isFirst: true)
  }

  /// The file of a finished image, which is checked against its hash; nil where the server is away,
  /// and the result will be looked at again.
  private func file(of picture: ClusterResult.Picture?) async -> Result<[UInt8]?, ServerError> {
    do {
      guard let picture, let file = try await layout.objects.get(picture.object) else {
        return .failure(
          ServerError(
            status: 500, code: "image_lost",
            message: "the image was made and its file is gone; ask for it again with its seed"))
      }
      guard try ImageDigest.text(of: file) == picture.sha256 else {
        throw NATSError(.damaged, "'\(picture.object)' is not the file that its result names")
      }
      return .success(file)
    } catch {
      logger.error(
        "a finished image cannot be read",
        metadata: ["object": "\(picture?.object ?? "")", "error": "\(error)"])
      guard let error = error as? NATSError else { return .failure(ServerError(error)) }
      guard error.code == .damaged else { return .success(nil) }
      return .failure(
        ServerError(
          status: 500, code: "image_damaged",
          message: "the image's file was damaged between worker and server; ask for it again with "
            + "its seed"))
    }
  }
}

extension ServerError {
  /// Whether the file of a finished image is at fault, which another attempt may have.
  fileprivate var isOfFile: Bool { code == "image_lost" || code == "image_damaged" }
}
