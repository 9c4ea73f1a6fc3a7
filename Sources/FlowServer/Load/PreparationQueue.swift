internal import HTTPTypes

/// Prepares engines one at a time: each preparation uses all processors, and gigabytes.
final class PreparationQueue: Sendable {
  private let slots = TaskSlots(count: 1)
  private let limit: Int

  /// - Parameter limit: the maximum number of waiting preparations.
  init(limit: Int) { self.limit = limit }

  /// Checks that another preparation may wait.
  ///
  /// - Throws: 429 if the limit is reached.
  func checkRoom() throws(ServerError) {
    guard slots.waitingCount >= limit else { return }
    throw ServerError(
      .tooManyRequests, "preparations_full",
      "engines of \(limit) sizes wait to be prepared, which is the limit; try again later, or use a "
        + "size that is in use", retryAfter: 30)
  }

  /// Prepares engines when all earlier preparations have ended.
  func run<Result>(
    isolation: isolated (any Actor)? = #isolation, _ work: () async throws -> Result
  ) async throws -> Result {
    try await slots.run(work)
  }
}
