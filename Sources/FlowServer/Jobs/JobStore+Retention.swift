internal import Foundation
internal import GRDB

/// The retention limits of ended jobs.
struct JobRetention: Sendable {
  /// How long an ended job is available.
  var lifetime: Duration
  /// The maximum total size of all files in bytes.
  var byteCount: Int
  /// The maximum number of ended jobs.
  var jobCount: Int
}

extension JobStore {
  /// Removes ended jobs that are too old, then the oldest ones until number and size are within the
  /// limits.
  ///
  /// The most recently ended job always stays.
  ///
  /// - Returns: the ids of the removed jobs.
  func enforce(_ retention: JobRetention, now: Date = Date()) async throws -> [String] {
    var removed: [String] = []
    while let (oldest, isLast) = try await oldestEnded() {
      let totals = totals
      let age = now.timeIntervalSince(oldest.ended ?? now)
      let isExpired = age > retention.lifetime / .seconds(1)
      let isTooMuch =
        totals.byteCount > retention.byteCount || totals.endedCount > retention.jobCount
      guard isExpired || isTooMuch && !isLast else { break }
      try await remove(oldest)
      removed.append(oldest.id)
    }
    return removed
  }

  /// The job that ended first, and whether it is the only ended job.
  private func oldestEnded() async throws -> (JobRecord, isLast: Bool)? {
    guard totals.endedCount > 0 else { return nil }
    let ids = try await read { db in
      try String.fetchAll(
        db, sql: "SELECT id FROM job WHERE ended IS NOT NULL ORDER BY ended, number LIMIT 2")
    }
    guard let id = ids.first, let record = try await record(id) else { return nil }
    return (record, ids.count == 1)
  }
}
