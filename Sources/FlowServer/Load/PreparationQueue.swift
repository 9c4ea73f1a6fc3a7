internal import HTTPTypes

/// Prepares engines one after another: each preparation takes all processors, and gigabytes.
final class PreparationQueue: Sendable {
  private let slots = TaskSlots(count: 1)
  private let limit: Int

  /// - Parameter limit: the most preparations that wait.
  init(limit: Int) { self.limit = limit }

  /// Checks that another preparation may wait.
  ///
  /// - Throws: 429 where too many do.
  func checkRoom() throws(ServerError) {
    guard slots.waitingCount >= limit else { return }
    throw ServerError(
      .tooManyRequests, "preparations_full",
      "engines of \(limit) sizes wait to be prepared, the most that may; try again later, or with a "
        + "size that is in use", retryAfter: 30)
  }

  /// Prepares engines, when it is their turn.
  func run<Result>(
    isolation: isolated (any Actor)? = #isolation, _ work: () async throws -> Result
  ) async throws -> Result {
    try await slots.run(work)
  }
}
