internal import Foundation

/// A stored job.
struct JobRecord: Sendable {
  /// Its number in the order of acceptance.
  let number: Int64
  let id: String
  /// Its client, for fairness between clients.
  let client: String
  /// The name of its model.
  let model: String
  /// The seed of its first image.
  let seed: UInt64
  /// The number of requested images.
  let total: Int
  let created: Date
  /// Warnings about its parameters.
  var warnings: [ResponseWarning] = []
  var done = 0
  var failed = 0
  /// The total size of its images and its input in bytes.
  var byteCount = 0
  /// How it ended; nil if it has not ended.
  var outcome: JobStatus?
  var ended: Date?
  /// Why it ended, or the latest failure of one of its images.
  var error: ErrorBody.Content?
}

/// A stored image.
struct StoredImage: Sendable {
  let index: Int
  let seed: UInt64
  /// The name of its file.
  let file: String
  let mediaType: String
  let byteCount: Int
}

/// The filter and position of a page of jobs.
struct JobQuery: Sendable, Equatable {
  /// The range of page sizes.
  static let limits = 1...100

  var limit = 20
  /// The id of the job before the page.
  var after: String?
  var status: JobStatus?
  /// Whether older jobs come first.
  var isAscending = false
}
