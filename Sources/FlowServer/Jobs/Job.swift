internal import Foundation
internal import Logging

/// An unfinished job: generates its images, and stores each when it is finished.
actor Job {
  /// The dependencies that all jobs share.
  struct Setting: Sendable {
    let maker: any JobImageMaker
    let store: JobStore
    let lifetime: Duration
    /// The interval between retries.
    let retryInterval: Duration
    let logger: Logger
  }

  nonisolated let record: JobRecord
  private let setting: Setting
  /// Whether a previous process accepted the job.
  private let isResumed: Bool
  /// The memory of the images that its requests read, reserved until it ends.
  private let memory: OrderMemory
  private let didEnd: @Sendable (String) async -> Void
  private(set) var status = JobStatus.queued
  private var done: Int
  private var failed: Int
  private var error: ErrorBody.Content?
  /// The reason why the job is paused.
  private var pauseReason: ErrorBody.Content?
  private var warnings: [ResponseWarning]
  private var ended: Date?
  /// Whether the server stops and the next process continues the job.
  private var isSuspended = false
  private var task: Task<Void, Never>?
  private var watchers = JobWatchers()

  /// Creates a job that is not started yet.
  ///
  /// - Parameters:
  ///   - record: the stored job.
  ///   - setting: the dependencies that all jobs share.
  ///   - isResumed: whether a previous process accepted the job.
  ///   - memory: the memory reserved for the images of the request.
  ///   - didEnd: called when the end is recorded.
  init(
    _ record: JobRecord, _ setting: Setting, isResumed: Bool, memory: OrderMemory = OrderMemory(),
    didEnd: @escaping @Sendable (String) async -> Void
  ) {
    self.record = record
    self.setting = setting
    self.isResumed = isResumed
    self.memory = memory
    self.didEnd = didEnd
    (done, failed, error) = (record.done, record.failed, record.error)
    warnings = record.warnings
  }

  /// Starts the job.
  func start() { task = Task { await run() } }

  /// Cancels the job; finished images stay.
  ///
  /// The end is recorded before this returns, unless the disk is full.
  func cancel() async {
    guard !status.isOver, !isSuspended else { return }
    // A pause reason no longer applies.
    pauseReason = nil
    status = .cancelled
    ended = Date()
    task?.cancel()
    do { try await setting.store.end(record.number, .cancelled, error: error) } catch {
      log(.warning, "job's end is not recorded yet", error)
      task = Task { await recordEnd() }
      return
    }
    await announceEnd()
  }

  /// Stops the job without ending it; the next process continues it.
  func suspend() {
    guard !status.isOver else { return }
    isSuspended = true
    task?.cancel()
    watchers.send(.interrupted(.stopping))
    watchers.finish()
  }

  // MARK: - Generating images

  private func run() async {
    do {
      let (store, record) = (setting.store, record)
      let order = try await retrying { try await store.order(of: record.number) }
      var settled = try await retrying { try await store.settledIndices(of: record) }
      while true {
        let missing = (0..<record.total).filter { !settled.contains($0) }
        guard !missing.isEmpty else { break }
        let isMade = try await attempt(order, Array(missing.prefix(setting.maker.jobCapacity)))
        let before = settled.count
        settled = try await retrying { try await store.settledIndices(of: record) }
        // Prevents an endless loop.
        guard !isMade || settled.count > before else { throw MissingImages() }
      }
      await end(failed > 0 && done == 0 ? .failed : .done)
    } catch is CancellationError {
      // `cancel` and `suspend` have recorded the end.
    } catch {
      guard !isSuspended, !status.isOver else { return }
      self.error = ServerError(error).body.error
      log(.error, "job failed", error)
      await end(.failed)
    }
  }

  /// The queue ended without all requested images.
  private struct MissingImages: Error {}

  /// Generates some images; on a transient failure, waits and returns.
  ///
  /// - Returns: whether all images were finished or failed.
  private func attempt(_ order: ImageOrder, _ indices: [Int]) async throws -> Bool {
    do {
      try await setting.maker.make(order, indices: indices, client: record.client) { warnings in
        await self.begin(warnings)
      } event: { event in
        try await self.handle(event, order)
      }
      return true
    } catch let waiting as Unrecorded {
      try await recordWhenPossible(waiting, order)
    } catch let refusal as ServerError where refusal.code == "queue_full" {
      try await Task.sleep(for: setting.retryInterval)
    } catch let refusal as ServerError where refusal.code == ServerError.stopping.code {
      // The server is stopping: it suspends or cancels this job next.
      try await Task.sleep(for: setting.retryInterval)
    } catch {
      let reason = ServerError(error)
      guard JobPause.isModelFailure(reason, isBegun: isResumed || done > 0) else { throw error }
      pause(reason, error)
      // Loading a model repeatedly is expensive.
      try await Task.sleep(for: setting.retryInterval * 12)
    }
    try Task.checkCancellation()
    return false
  }

  /// A finished or failed image that could not be recorded.
  private struct Unrecorded: Error, CustomStringConvertible {
    let event: JobImageEvent
    let cause: any Error

    var description: String { "an image cannot be recorded: \(cause)" }
  }

  private func handle(_ event: JobImageEvent, _ order: ImageOrder) async throws {
    guard !status.isOver, !isSuspended else { throw CancellationError() }
    do { try await persist(event, order) } catch  where JobPause.isStorageFailure(error) {
      throw Unrecorded(event: event, cause: error)
    }
  }

  private func persist(_ event: JobImageEvent, _ order: ImageOrder) async throws {
    switch event {
    case .failed(let index, let failure):
      guard try await setting.store.addFailure(index: index, to: record) else { return }
      failed += 1
      error = ServerError(failure).body.error
      watchers.send(.progress(report()))
    case .finished(let index, let seed, let file): try await store(index, seed, file, order)
    }
  }

  private func store(
    _ index: Int, _ seed: UInt64, _ file: [UInt8], _ order: ImageOrder
  ) async throws {
    let isNew = try await setting.store.add(
      file, index: index, seed: seed, encoding: order.encoding, to: record)
    guard isNew else { return }
    done += 1
    watchers.send(.image(JobImage(job: record.id, index: index, seed: seed)))
    watchers.send(.progress(report()))
  }

  // MARK: - Waiting

  /// Waits until a finished or failed image can be recorded.
  ///
  /// The images in flight were cancelled meanwhile; they are generated again from their seeds.
  private func recordWhenPossible(_ image: Unrecorded, _ order: ImageOrder) async throws {
    pause(JobPause.reason(image.cause), image)
    try await Task.sleep(for: setting.retryInterval)
    try await retrying(isPaused: true) { try await self.persist(image.event, order) }
  }

  /// Uses the store; on a transient failure, pauses the job and tries again.
  ///
  /// - Parameters:
  ///   - isPaused: whether the job is paused already.
  ///   - use: the operation, repeated after each transient failure.
  private func retrying<Value: Sendable>(
    isPaused: Bool = false, _ use: @Sendable () async throws -> Value
  ) async throws -> Value {
    var isPaused = isPaused
    while true {
      do {
        let value = try await use()
        if isPaused {
          log(.notice, "job continues")
          resume()
        }
        return value
      } catch  where JobPause.isStorageFailure(error) {
        isPaused = true
        pause(JobPause.reason(error), error)
        try await Task.sleep(for: setting.retryInterval)
      }
    }
  }

  private func pause(_ reason: ServerError, _ cause: any Error) {
    let isNew = status != .paused || pauseReason?.code != reason.code
    guard isNew, !status.isOver else { return }
    status = .paused
    pauseReason = reason.body.error
    log(.warning, "job paused", cause)
    watchers.send(.progress(report()))
  }

  /// Records the start of generation, and the warnings that depend on the model.
  private func begin(_ found: [ResponseWarning]?) async {
    if let found, found != warnings {
      warnings = found
      // If this fails, the next start determines them again.
      try? await setting.store.setWarnings(found, of: record.number)
    }
    resume()
  }

  private func resume() {
    guard !status.isOver else { return }
    pauseReason = nil
    status = .running
    watchers.send(.progress(report()))
  }

  private func log(_ level: Logger.Level, _ message: Logger.Message, _ cause: (any Error)? = nil) {
    var metadata: Logger.Metadata = ["job": "\(record.id)", "done": "\(done)/\(record.total)"]
    if let cause { metadata["error"] = "\(cause)" }
    setting.logger.log(level: level, message, metadata: metadata)
  }

  // MARK: - The end

  private func end(_ outcome: JobStatus) async {
    guard !status.isOver, !isSuspended else { return }
    while true {
      do {
        try await setting.store.end(record.number, outcome, error: error)
        break
      } catch let error where JobPause.isStorageFailure(error) {
        pause(JobPause.reason(error), error)
        do { try await Task.sleep(for: setting.retryInterval) } catch { return }
      } catch {
        log(.error, "job's end is not recorded", error)
        break
      }
    }
    guard !status.isOver else { return }
    pauseReason = nil
    status = outcome
    ended = Date()
    await announceEnd()
  }

  /// Records the end of a cancelled job when storage permits.
  private func recordEnd() async {
    while !isSuspended {
      do {
        try await Task.sleep(for: setting.retryInterval)
        try await setting.store.end(record.number, status, error: error)
        return await announceEnd()
      } catch let error where JobPause.isStorageFailure(error) {} catch { return }
    }
  }

  private func announceEnd() async {
    watchers.send(.over(report()))
    watchers.finish()
    await didEnd(record.id)
  }

  // MARK: - Reports to clients

  /// The job in the form of the API.
  func report() -> JobReport {
    var current = record
    (current.done, current.failed, current.ended) = (done, failed, ended)
    current.warnings = warnings
    return current.report(lifetime: setting.lifetime, status: status, error: pauseReason ?? error)
  }

  /// The changes of the job from now on, starting with its present state.
  func changes() -> AsyncStream<JobChange> {
    if isSuspended { return JobWatchers.only(.interrupted(.stopping)) }
    if status.isOver { return JobWatchers.only(.over(report())) }
    let (stream, number) = watchers.add(.progress(report()))
    watchers.onEnd(of: number) { [weak self] in Task { await self?.forget(number) } }
    return stream
  }

  private func forget(_ watcher: Int) { watchers.remove(watcher) }
}
