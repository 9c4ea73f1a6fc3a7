/// The state of a job.
enum JobStatus: String, Codable, CaseIterable, Sendable {
  /// Accepted; no image has been started.
  case queued
  /// Images are being made.
  case running
  /// Waiting for a condition that a person may have to change, such as a full disk; the job's
  /// error is the reason. The job goes on by itself afterwards.
  case paused
  /// All images were made, or failed one by one.
  case done
  /// Given up because of an error.
  case failed
  /// Given up because a client asked for it.
  case cancelled

  /// Whether the job has ended.
  var isOver: Bool { self == .done || self == .failed || self == .cancelled }

  /// The states of jobs that have ended, as the database stores them.
  static let outcomes = allCases.filter(\.isOver)
}
