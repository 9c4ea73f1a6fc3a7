/// The state of a job.
enum JobStatus: String, Codable, CaseIterable, Sendable {
  /// Accepted; no image has been started.
  case queued
  /// Images are being generated.
  case running
  /// Waiting for a condition that a person may have to change, such as a full disk; the job's error
  /// is the reason. The job continues by itself afterwards.
  case paused
  /// All images are finished or have failed individually.
  case done
  /// Ended by an error.
  case failed
  /// Ended by a client's request.
  case cancelled

  /// Whether the job has ended.
  var isOver: Bool { self == .done || self == .failed || self == .cancelled }

  /// The states of jobs that have ended, as the database stores them.
  static let outcomes = allCases.filter(\.isOver)
}
