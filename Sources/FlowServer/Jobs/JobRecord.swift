internal import Foundation

/// A job, as it is stored.
struct JobRecord: Sendable {
  /// Its place in the order of acceptance.
  let number: Int64
  let id: String
  /// The client that it belongs to, for fairness between clients.
  let client: String
  /// The name of its model.
  let model: String
  /// The seed of its first image.
  let seed: UInt64
  /// The number of images that were asked for.
  let total: Int
  let created: Date
  /// Warnings about its parameters.
  var warnings: [ResponseWarning] = []
  var done = 0
  var failed = 0
  /// The bytes of its images and of its input.
  var byteCount = 0
  /// How it ended; nil while it has not.
  var outcome: JobStatus?
  var ended: Date?
  /// Why it ended, or the latest failure of one of its images.
  var error: ErrorBody.Content?
}

/// A finished image, as it is stored.
struct StoredImage: Sendable {
  let index: Int
  let seed: UInt64
  /// The name of its file.
  let file: String
  let mediaType: String
  let byteCount: Int
}

/// Which jobs a page lists.
struct JobQuery: Sendable, Equatable {
  /// The most jobs of a page.
  static let limits = 1...100

  var limit = 20
  /// The id of the job that the page comes after.
  var after: String?
  var status: JobStatus?
  /// Whether older jobs come first.
  var isAscending = false
}
