internal import Foundation
internal import Logging

/// A job that has not ended: makes its images, and stores each as it is finished.
actor Job {
  /// What all jobs share.
  struct Setting: Sendable {
    let maker: any JobImageMaker
    let store: JobStore
    let lifetime: Duration
    /// How long a job waits before it tries again.
    let retryInterval: Duration
    let logger: Logger
  }

  nonisolated let record: JobRecord
  private let setting: Setting
  /// Whether an earlier process accepted it.
  private let isResumed: Bool
  private let didEnd: @Sendable (String) async -> Void
  private(set) var status = JobStatus.queued
  private var done: Int
  private var failed: Int
  private var error: ErrorBody.Content?
  private var warnings: [ResponseWarning]
  private var ended: Date?
  /// Whether the server stops, and the job goes on in the next process.
  private var isSuspended = false
  private var task: Task<Void, Never>?
  private var watchers = JobWatchers()

  /// A job that waits to be started.
  ///
  /// - Parameters:
  ///   - record: the job as it is stored.
  ///   - setting: what jobs share.
  ///   - isResumed: whether an earlier process accepted it.
  ///   - didEnd: called when the end is recorded.
  init(
    _ record: JobRecord, _ setting: Setting, isResumed: Bool,
    didEnd: @escaping @Sendable (String) async -> Void
  ) {
    self.record = record
    self.setting = setting
    self.isResumed = isResumed
    self.didEnd = didEnd
    (done, failed, error) = (record.done, record.failed, record.error)
    warnings = record.warnings
  }

  /// Starts it.
  func start() { task = Task { await run() } }

  /// Gives the rest up; finished images stay.
  ///
  /// The end is recorded before this returns, unless the disk is full.
  func cancel() async {
    guard !status.isOver, !isSuspended else { return }
    // The reason for waiting no longer matters.
    if status == .paused { error = nil }
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

  /// Stops it without an end: the next process goes on with it.
  func suspend() {
    guard !status.isOver else { return }
    isSuspended = true
    task?.cancel()
    watchers.send(.interrupted(.stopping))
    watchers.finish()
  }

  // MARK: - Making images

  private func run() async {
    do {
      let order = try await setting.store.order(of: record.number)
      var settled = try await setting.store.settledIndices(of: record)
      while true {
        let missing = (0..<record.total).filter { !settled.contains($0) }
        guard !missing.isEmpty else { break }
        let isMade = try await attempt(order, Array(missing.prefix(setting.maker.jobCapacity)))
        let before = settled.count
        settled = try await setting.store.settledIndices(of: record)
        // Otherwise this would loop forever.
        guard !isMade || settled.count > before else { throw MissingImages() }
      }
      await end(failed > 0 && done == 0 ? .failed : .done)
    } catch is CancellationError {
      // `cancel` and `suspend` have recorded it.
    } catch {
      guard !isSuspended, !status.isOver else { return }
      self.error = ServerError(error).body.error
      log(.error, "job failed", error)
      await end(.failed)
    }
  }

  /// The queue ended without the images that were asked for.
  private struct MissingImages: Error {}

  /// Makes some images; where there is a reason to wait, waits and returns.
  ///
  /// - Returns: whether all were made or failed.
  private func attempt(_ order: ImageOrder, _ indices: [Int]) async throws -> Bool {
    do {
      try await setting.maker.make(order, indices: indices, client: record.client) { warnings in
        await self.begin(warnings)
      } event: { event in
        try await self.handle(event, order)
      }
      return true
    } catch let waiting as Unwritten {
      try await writeWhenPossible(waiting, order)
    } catch let refusal as ServerError where refusal.code == "queue_full" {
      try await Task.sleep(for: setting.retryInterval)
    } catch let refusal as ServerError where refusal.code == ServerError.stopping.code {
      // The server stops: it suspends or cancels this job next.
      try await Task.sleep(for: setting.retryInterval)
    } catch {
      let reason = ServerError(error)
      guard JobPause.isModelFailure(reason, isBegun: isResumed || done > 0) else { throw error }
      pause(reason, error)
      // To read a model again and again is expensive.
      try await Task.sleep(for: setting.retryInterval * 12)
    }
    try Task.checkCancellation()
    return false
  }

  /// A finished image for which there is no room.
  private struct Unwritten: Error, CustomStringConvertible {
    let index: Int
    let seed: UInt64
    let file: [UInt8]
    let cause: any Error

    var description: String { "image \(index) cannot be stored: \(cause)" }
  }

  private func handle(_ event: JobImageEvent, _ order: ImageOrder) async throws {
    guard !status.isOver, !isSuspended else { throw CancellationError() }
    switch event {
    case .failed(let index, let error):
      let content = ServerError(error).body.error
      guard try await setting.store.addFailure(index: index, to: record) else { return }
      failed += 1
      self.error = content
      watchers.send(.progress(report()))
    case .finished(let index, let seed, let file):
      do { try await store(index, seed, file, order) } catch
        where JobPause.isStorageFailure(error)
      {
        throw Unwritten(index: index, seed: seed, file: file, cause: error)
      }
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

  /// Waits until a finished image can be written.
  ///
  /// The images in flight were given up meanwhile; with their seeds they are made again.
  private func writeWhenPossible(_ image: Unwritten, _ order: ImageOrder) async throws {
    pause(JobPause.reason(image.cause), image.cause)
    while true {
      try await Task.sleep(for: setting.retryInterval)
      do {
        try await store(image.index, image.seed, image.file, order)
        break
      } catch let error where JobPause.isStorageFailure(error) {}
    }
    log(.notice, "job goes on")
    resume()
  }

  private func pause(_ reason: ServerError, _ cause: any Error) {
    let isNew = status != .paused || error?.code != reason.code
    guard isNew, !status.isOver else { return }
    status = .paused
    error = reason.body.error
    log(.warning, "job paused", cause)
    watchers.send(.progress(report()))
  }

  /// Notes that images are made, and the warnings that depend on the model.
  private func begin(_ found: [ResponseWarning]?) async {
    if let found, found != warnings {
      warnings = found
      // Where there is no room, the next start finds them again.
      try? await setting.store.setWarnings(found, of: record.number)
    }
    resume()
  }

  private func resume() {
    guard !status.isOver else { return }
    if status == .paused { error = nil }
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
    let reason = error
    while true {
      do {
        try await setting.store.end(record.number, outcome, error: reason)
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
    error = reason
    status = outcome
    ended = Date()
    await announceEnd()
  }

  /// Records the end of a cancelled job when there is room for it.
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

  // MARK: - What clients see

  /// The job as clients see it.
  func report() -> JobReport {
    var current = record
    (current.done, current.failed, current.ended) = (done, failed, ended)
    current.warnings = warnings
    return current.report(lifetime: setting.lifetime, status: status, error: error)
  }

  /// What happens to it from now on, after its present state.
  func changes() -> AsyncStream<JobChange> {
    if isSuspended { return JobWatchers.only(.interrupted(.stopping)) }
    if status.isOver { return JobWatchers.only(.over(report())) }
    let (stream, number) = watchers.add(.progress(report()))
    watchers.onEnd(of: number) { [weak self] in Task { await self?.forget(number) } }
    return stream
  }

  private func forget(_ watcher: Int) { watchers.remove(watcher) }
}
