internal import Foundation

/// How often and after which delay a failed request is tried again.
struct RetryPolicy: Sendable {
  /// Maximum number of consecutive attempts without progress.
  var attemptCount = 6
  /// The delay after the first failure; it doubles with each further one.
  var firstDelay = Duration.seconds(1)
  /// The longest delay that the hub did not request.
  var longestDelay = Duration.seconds(30)
  /// The longest delay that the hub may request.
  var longestRetryAfter = Duration.seconds(300)
  /// Waits.
  var sleep: @Sendable (Duration) async throws -> Void = { try await Task.sleep(for: $0) }
  /// Receives the reason and the delay of each new attempt.
  var report: @Sendable (_ reason: String, _ delay: Duration) -> Void = { _, _ in }

  /// The delay before the next attempt: a random value between half of the due delay and all of it,
  /// so that clients that failed together do not return together.
  func delay(afterFailures count: Int, retryAfter: Duration?) -> Duration {
    if let retryAfter { return min(max(retryAfter, .zero), longestRetryAfter) }
    let doublings = min(max(count - 1, 0), 16)
    return min(firstDelay * (1 << doublings), longestDelay) * Double.random(in: 0.5...1)
  }

  /// Repeats work until it succeeds, fails permanently, or makes no progress too often in a row.
  ///
  /// - Parameters:
  ///   - what: the name of the work, to start an error message.
  ///   - progress: a measure of progress; attempts that made progress do not count as failures.
  func callAsFunction<Result>(
    _ what: String, progress: () -> Int = { 0 }, work: () async throws -> Result
  ) async throws -> Result {
    var failureCount = 0
    var furthest = progress()
    while true {
      do { return try await work() } catch let failure as TransientFailure {
        try Task.checkCancellation()
        if progress() > furthest { (furthest, failureCount) = (progress(), 0) }
        failureCount += 1
        guard failureCount < attemptCount else {
          throw HubError(
            .unavailable,
            "\(what) failed \(attemptCount) times: \(failure.reason); try again later, what was "
              + "downloaded stays on disk")
        }
        let delay = delay(afterFailures: failureCount, retryAfter: failure.retryAfter)
        report("\(what) failed: \(failure.reason)", delay)
        try await sleep(delay)
      }
    }
  }

  /// Parses a `Retry-After` header: a number of seconds, or a date.
  static func retryAfter(_ text: String?, now: Date = Date()) -> Duration? {
    guard let text = text?.trimmingCharacters(in: .whitespaces), !text.isEmpty else { return nil }
    if text.utf8.allSatisfy({ (48...57).contains($0) }) {
      return .seconds(min(Int(text) ?? 86_400, 86_400))
    }
    let formatter = DateFormatter()
    formatter.locale = Locale(identifier: "en_US_POSIX")
    formatter.timeZone = TimeZone(secondsFromGMT: 0)
    formatter.dateFormat = "EEE, dd MMM yyyy HH:mm:ss 'GMT'"
    guard let date = formatter.date(from: text) else { return nil }
    return .seconds(min(max(date.timeIntervalSince(now), 0), 86_400))
  }
}
