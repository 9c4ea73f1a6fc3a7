internal import Foundation
internal import HTTPTypes

/// The jobs of a server.
actor JobRegistry {
  private let desk: OrderDesk
  private let store: ResultStore
  private let limits: ServerLimits
  private var jobs: [String: Job] = [:]

  init(desk: OrderDesk, store: ResultStore, limits: ServerLimits) {
    self.desk = desk
    self.store = store
    self.limits = limits
  }

  /// Takes a job in.
  func add(_ order: ImageOrder, client: String) async throws -> Job {
    try await desk.checkOpen()
    await expire()
    var running = 0
    for job in jobs.values where await !job.isOver { running += 1 }
    guard running < limits.jobCount else {
      throw ServerError(
        .tooManyRequests, "too_many_jobs",
        "\(running) jobs run or wait already, the most there may be; try again later, or cancel "
          + "one (DELETE /v1/jobs/ID)", retryAfter: 30)
    }
    let job = Job(id: RandomName.make("job"), order: order, lifetime: limits.resultTime)
    jobs[job.id] = job
    await job.start(order, desk: desk, store: store, client: client)
    return job
  }

  /// The job of a name.
  func job(_ id: String) throws(ServerError) -> Job {
    guard let job = jobs[id] else {
      throw .notFound(
        "there is no job of that name; finished ones are kept for "
          + "\(limits.resultTime.components.seconds) s")
    }
    return job
  }

  /// Cancels a job that runs; forgets one that has ended, with its pictures.
  func remove(_ id: String) async throws -> Job {
    let job = try job(id)
    if await job.isOver {
      jobs[id] = nil
      await store.remove(await job.storedNames)
    } else {
      await job.cancel()
    }
    return job
  }

  /// Forgets jobs whose pictures are no longer kept.
  func expire() async {
    let now = Date()
    for (id, job) in jobs where await job.isExpired(at: now) { jobs[id] = nil }
  }

  /// Gives all up.
  func cancelAll() async { for job in jobs.values { await job.cancel() } }
}

/// Names that nobody can guess.
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
