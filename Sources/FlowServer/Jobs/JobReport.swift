internal import Foundation

/// A finished image of a job in the form of the API.
struct JobImage: Encodable, Sendable {
  let index: Int
  let seed: UInt64
  private(set) var url: String

  init(job id: String, index: Int, seed: UInt64) {
    self.index = index
    self.seed = seed
    url = "/v1/jobs/\(id)/images/\(index)"
  }

  /// The image with its address under a path prefix, as seen by clients of a proxy.
  func below(_ prefix: String) -> JobImage {
    var image = self
    image.url = prefix + url
    return image
  }
}

/// A job in the form of the API.
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

  /// The job with the addresses of its images under a path prefix.
  func below(_ prefix: String) -> JobReport {
    var report = self
    report.images = images?.map { $0.below(prefix) }
    return report
  }
}

/// A page of jobs in the format of OpenAI's lists, newest first by default.
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

  /// The page with the addresses of images under a path prefix.
  func below(_ prefix: String) -> JobList {
    JobList(data.map { $0.below(prefix) }, hasMore: hasMore)
  }
}

/// A change of a job.
enum JobChange: Sendable {
  /// An image was finished.
  case image(JobImage)
  /// The state or a count has changed.
  case progress(JobReport)
  /// The job has ended; this is the last change.
  case over(JobReport)
  /// The server is stopping; this is the last change.
  case interrupted(ServerError)

  /// The change with the addresses of images under a path prefix.
  func below(_ prefix: String) -> JobChange {
    switch self {
    case .image(let image): .image(image.below(prefix))
    case .progress(let report): .progress(report.below(prefix))
    case .over(let report): .over(report.below(prefix))
    case .interrupted: self
    }
  }
}

extension JobRecord {
  /// The job in the form of the API.
  ///
  /// - Parameters:
  ///   - lifetime: how long an ended job is available.
  ///   - status: the state of an unfinished job.
  ///   - error: the reason why such a job is paused.
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
