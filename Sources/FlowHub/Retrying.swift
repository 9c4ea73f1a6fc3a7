internal import Foundation

/// How often and how soon what failed is tried again.
struct RetryPolicy: Sendable {
  /// The attempts in a row that may come to nothing.
  var attemptCount = 6
  /// The wait after the first failure; each one after doubles it.
  var firstDelay = Duration.seconds(1)
  /// The longest wait that is not asked for.
  var longestDelay = Duration.seconds(30)
  /// The longest wait that a hub may ask for.
  var longestRetryAfter = Duration.seconds(300)
  /// Waits.
  var sleep: @Sendable (Duration) async throws -> Void = { try await Task.sleep(for: $0) }
  /// Told why, and how long from now, something is tried again.
  var report: @Sendable (_ reason: String, _ delay: Duration) -> Void = { _, _ in }

  /// The wait before the next attempt: from a half to the whole of what is due, so that many who
  /// failed together do not come back together.
  func delay(afterFailures count: Int, retryAfter: Duration?) -> Duration {
    if let retryAfter { return min(max(retryAfter, .zero), longestRetryAfter) }
    let doublings = min(max(count - 1, 0), 16)
    return min(firstDelay * (1 << doublings), longestDelay) * Double.random(in: 0.5...1)
  }

  /// Does work until it succeeds, or fails for good, or comes to nothing too often in a row.
  ///
  /// - Parameters:
  ///   - what: the work, to begin a sentence on its failure.
  ///   - progress: how far the work has come; an attempt that came further counts as none.
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
              + "downloaded is kept")
        }
        let delay = delay(afterFailures: failureCount, retryAfter: failure.retryAfter)
        report("\(what) failed: \(failure.reason)", delay)
        try await sleep(delay)
      }
    }
  }

  /// Reads a `Retry-After` header: a number of seconds, or a date.
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
