internal import FlowImage
internal import Foundation
internal import HTTPTypes
internal import Logging
internal import StreamFlow

/// The jobs of a server.
///
/// Unfinished jobs are actors here. Ended jobs exist only as rows of the store, so that accepting a
/// job takes the same time for any number of ended ones.
actor JobRegistry {
  private let setting: Job.Setting
  private let limits: ServerLimits
  private var active: [String: Job] = [:]
  /// The number of jobs that are being stored.
  private var acceptingCount = 0
  /// Whether the server stops: no job is continued any more.
  private var isSuspended = false

  private var store: JobStore { setting.store }

  init(
    maker: any JobImageMaker, store: JobStore, limits: ServerLimits, logger: Logger,
    retryInterval: Duration = .seconds(5)
  ) {
    setting = Job.Setting(
      maker: maker, store: store, lifetime: limits.jobTime, retryInterval: retryInterval,
      logger: logger)
    self.limits = limits
  }

  /// Continues the jobs of the previous process, unless the server stops already.
  func resume() async {
    do {
      for record in try await store.unfinished() where active[record.id] == nil {
        guard !isSuspended, !Task.isCancelled else { return }
        setting.logger.info(
          "job continues",
          metadata: ["job": "\(record.id)", "done": "\(record.done)/\(record.total)"])
        await start(record, isResumed: true)
      }
    } catch {
      setting.logger.error("stored jobs cannot be read", metadata: ["error": "\(error)"])
    }
  }

  /// Accepts a job, and stores it before returning.
  func add(_ order: ImageOrder, client: String) async throws -> JobReport {
    try await setting.maker.checkOpen()
    let model = try await setting.maker.modelName(of: order)
    let count = active.count + acceptingCount
    guard count < limits.jobCount else {
      throw ServerError(
        .tooManyRequests, "too_many_jobs",
        "\(count) jobs run or wait already, which is the limit; try again later, or cancel "
          + "one (DELETE /v1/jobs/ID)", retryAfter: 30)
    }
    acceptingCount += 1
    defer { acceptingCount -= 1 }
    let record: JobRecord
    do {
      record = try await store.insert(
        JobRequest(order, model: model), id: RandomName.make("job"), client: client,
        total: order.imageCount, input: try order.source?.image.png())
    } catch let error where JobPause.isStorageFailure(error) {
      setting.logger.error("job refused", metadata: ["error": "\(error)"])
      throw ServerError(
        .insufficientStorage, JobPause.reason(error).code,
        "the server has no room to store the job; try again later, or remove ended jobs "
          + "(DELETE /v1/jobs/ID)", retryAfter: 60)
    }
    return await start(record, isResumed: false, memory: order.memory).report()
  }

  @discardableResult
  private func start(
    _ record: JobRecord, isResumed: Bool, memory: OrderMemory = OrderMemory()
  ) async -> Job {
    let job = Job(record, setting, isResumed: isResumed, memory: memory) { [weak self] id in
      await self?.didEnd(id)
    }
    active[record.id] = job
    await job.start()
    return job
  }

  private func didEnd(_ id: String) { active[id] = nil }

  // MARK: - Requests

  /// A job with its finished images.
  func report(_ id: String) async throws -> JobReport {
    let record = try await record(id)
    var report = await current(record)
    report.images = try await store.images(of: record)
    return report
  }

  /// A page of jobs.
  func page(_ query: JobQuery) async throws -> JobList {
    var start: Int64?
    if let after = query.after {
      guard let record = try await store.record(after) else {
        throw ServerError.invalid(
          "'after' must be the id of a job, got '\(after.prefix(80))'", parameter: "after")
      }
      start = record.number
    }
    if let status = query.status, !status.isOver { return await activePage(query, after: start) }
    let (records, hasMore) = try await store.page(query, after: start)
    var reports: [JobReport] = []
    for record in records { reports.append(await current(record)) }
    return JobList(reports, hasMore: hasMore)
  }

  /// A page of jobs in a state that only exists for unfinished jobs.
  private func activePage(_ query: JobQuery, after start: Int64?) async -> JobList {
    var found: [JobReport] = []
    let jobs = active.values.sorted {
      ($0.record.number < $1.record.number) == query.isAscending
    }
    for job in jobs {
      let number = job.record.number
      if let start, query.isAscending ? number <= start : number >= start { continue }
      let report = await job.report()
      if report.status == query.status { found.append(report) }
    }
    return JobList(Array(found.prefix(query.limit)), hasMore: found.count > query.limit)
  }

  /// The changes of a job from now on, starting with its present state.
  func changes(_ id: String) async throws -> AsyncStream<JobChange> {
    if let job = active[id] { return await job.changes() }
    let record = try await record(id)
    if record.outcome != nil { return JobWatchers.only(.over(await current(record))) }
    // It was accepted meanwhile.
    if let job = active[id] { return await job.changes() }
    // An unfinished job has not ended, even if this process could not continue it.
    return JobWatchers.only(
      .interrupted(
        ServerError(
          .serviceUnavailable, "job_not_continued",
          "the server has not continued the job, and its log says why; ask again later",
          retryAfter: 5)))
  }

  /// The file of a finished image, and its media type.
  func image(_ index: Int, of id: String) async throws -> (bytes: [UInt8], type: String) {
    guard let image = try await store.image(index, of: id) else {
      _ = try await record(id)
      throw ServerError.notFound("the job has not finished this image yet")
    }
    guard let bytes = try await store.bytes(of: image) else {
      throw ServerError(
        .gone, "expired",
        "the image's file is missing; create the job again with the same seed")
    }
    return (bytes, image.mediaType)
  }

  /// Cancels an unfinished job; removes an ended one with its images.
  func remove(_ id: String) async throws -> JobReport {
    if let job = active[id] {
      await job.cancel()
      return await job.report()
    }
    let record = try await record(id)
    let report = await current(record)
    try await store.remove(record)
    return report
  }

  private func record(_ id: String) async throws -> JobRecord {
    guard let record = try await store.record(id) else {
      throw ServerError.notFound(
        "there is no job with this id; ended jobs are stored for "
          + "\(limits.jobTime.components.seconds) s, within the limits of number and size")
    }
    return record
  }

  private func current(_ record: JobRecord) async -> JobReport {
    if let job = active[record.id] { return await job.report() }
    return record.report(lifetime: limits.jobTime)
  }

  // MARK: - Maintenance

  /// The number of unfinished jobs.
  var activeCount: Int { active.count }

  /// Removes ended jobs beyond the limits of age, number and size.
  func expire(now: Date = Date()) async {
    let retention = JobRetention(
      lifetime: limits.jobTime, byteCount: limits.jobByteCount, jobCount: limits.endedJobCount)
    do {
      let removed = try await store.enforce(retention, now: now)
      if !removed.isEmpty {
        setting.logger.info("ended jobs removed", metadata: ["count": "\(removed.count)"])
      }
    } catch {
      setting.logger.warning("ended jobs cannot be removed", metadata: ["error": "\(error)"])
    }
  }

  /// The number of jobs in each state.
  func counts() async -> [JobStatus: Int] {
    var counts = store.totals.ended
    for job in active.values { counts[await job.status, default: 0] += 1 }
    return counts
  }

  /// Suspends jobs that the next process continues; others are unaffected.
  func suspend() async {
    isSuspended = true
    guard store.isDurable else { return }
    for job in active.values { await job.suspend() }
  }

  /// Cancels jobs that do not survive the process, and suspends the others.
  func stop() async {
    await suspend()
    guard !store.isDurable else { return }
    for job in active.values { await job.cancel() }
  }

  /// Closes the store.
  func close() { store.close() }
}

/// Unguessable names.
enum RandomName {
  static func make(_ prefix: String) -> String {
    var generator = SystemRandomNumberGenerator()
    let (high, low) = (generator.next(), generator.next())
    func hex(_ number: UInt64) -> String {
      let digits = String(number, radix: 16)
      return String(repeating: "0", count: 16 - digits.count) + digits
    }
    return "\(prefix)_\(hex(high))\(hex(low))"
  }
}
