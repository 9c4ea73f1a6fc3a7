internal import Foundation

/// A finished image of a job, as clients see it.
struct JobImage: Encodable, Sendable {
  let index: Int
  let seed: UInt64
  let url: String

  init(job id: String, index: Int, seed: UInt64) {
    self.index = index
    self.seed = seed
    url = "/v1/jobs/\(id)/images/\(index)"
  }
}

/// A job, as clients see it.
struct JobReport: Encodable, Sendable {
  let id: String
  let object = "job"
  let status: JobStatus
  let model: String
  let seed: UInt64
  let total: Int
  let done: Int
  let failed: Int
  let createdAt: Int
  let expiresAt: Int?
  let error: ErrorBody.Content?
  let warnings: [ResponseWarning]?
  var images: [JobImage]?
}

/// Jobs, newest first unless asked otherwise: a page in the shape of OpenAI's lists.
struct JobList: Encodable, Sendable {
  let object = "list"
  let data: [JobReport]
  let firstId: String?
  let lastId: String?
  let hasMore: Bool

  init(_ jobs: [JobReport], hasMore: Bool) {
    data = jobs
    firstId = jobs.first?.id
    lastId = jobs.last?.id
    self.hasMore = hasMore
  }
}

/// What happens to a job.
enum JobChange: Sendable {
  /// An image was finished.
  case image(JobImage)
  /// The state or a count has changed.
  case progress(JobReport)
  /// The job has ended; nothing follows.
  case over(JobReport)
  /// The server stops; nothing follows.
  case interrupted(ServerError)
}

extension JobRecord {
  /// The job as clients see it.
  ///
  /// - Parameters:
  ///   - lifetime: how long an ended job is available.
  ///   - status: the state of a job that has not ended.
  ///   - error: why such a job waits.
  func report(
    lifetime: Duration, status: JobStatus = .queued, error waiting: ErrorBody.Content? = nil
  ) -> JobReport {
    JobReport(
      id: id, status: outcome ?? status, model: model, seed: seed, total: total, done: done,
      failed: failed, createdAt: Int(created.timeIntervalSince1970),
      expiresAt: ended.map { Int(($0 + lifetime / .seconds(1)).timeIntervalSince1970) },
      error: waiting ?? error, warnings: warnings.isEmpty ? nil : warnings)
  }
}
