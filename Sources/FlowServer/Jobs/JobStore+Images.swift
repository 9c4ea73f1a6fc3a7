internal import FlowCore
internal import FlowImage
internal import Foundation
internal import GRDB
internal import HTTPTypes

/// The images of jobs.
extension JobStore {
  /// The name of an image's file, from the job and the image's index.
  static func fileName(_ id: String, _ index: Int, _ encoding: ImageEncoding) -> String {
    let digits = String(index)
    let padded = String(repeating: "0", count: max(0, 4 - digits.count)) + digits
    return "\(id)-\(padded).\(encoding.name == "jpeg" ? "jpg" : encoding.name)"
  }

  /// Stores a finished image.
  ///
  /// An image that is stored already is unchanged.
  ///
  /// - Parameters:
  ///   - bytes: its file.
  ///   - index: its index in the job.
  ///   - seed: its seed.
  ///   - encoding: the file's format.
  ///   - job: the job.
  /// - Returns: whether it is new.
  func add(
    _ bytes: [UInt8], index: Int, seed: UInt64, encoding: ImageEncoding, to job: JobRecord
  ) async throws -> Bool {
    let name = Self.fileName(job.id, index, encoding)
    let isNew = try await write { db -> Bool in
      let isStored = try Bool.fetchOne(
        db, sql: "SELECT 1 FROM image WHERE job = ? AND position = ?",
        arguments: [job.number, index])
      let isThere = try Bool.fetchOne(
        db, sql: "SELECT 1 FROM job WHERE number = ?", arguments: [job.number])
      guard isStored == nil, isThere == true else { return false }
      try self.place(bytes, as: name)
      try db.execute(
        sql: """
          INSERT INTO image (job, position, seed, file, type, bytes) VALUES (?, ?, ?, ?, ?, ?)
          """,
        arguments: [
          job.number, index, Int64(bitPattern: seed), name, encoding.type, bytes.count,
        ])
      try db.execute(
        sql: "UPDATE job SET done = done + 1, bytes = bytes + ? WHERE number = ?",
        arguments: [bytes.count, job.number])
      return true
    }
    if isNew { count { $0.byteCount += bytes.count } }
    return isNew
  }

  /// Records that an image failed; it is not tried again.
  func addFailure(index: Int, to job: JobRecord) async throws -> Bool {
    try await write { db in
      try db.execute(
        sql: "INSERT OR IGNORE INTO image (job, position) VALUES (?, ?)",
        arguments: [job.number, index])
      guard db.changesCount > 0 else { return false }
      try db.execute(
        sql: "UPDATE job SET failed = failed + 1 WHERE number = ?", arguments: [job.number])
      return true
    }
  }

  /// The indices of a job's images that are finished or have failed.
  func settledIndices(of job: JobRecord) async throws -> Set<Int> {
    try await read { db in
      try Int.fetchSet(
        db, sql: "SELECT position FROM image WHERE job = ?", arguments: [job.number])
    }
  }

  /// The finished images of a job, in order.
  func images(of job: JobRecord) async throws -> [JobImage] {
    try await read { db in
      try Row.fetchAll(
        db,
        sql: """
          SELECT position, seed FROM image WHERE job = ? AND file IS NOT NULL ORDER BY position
          """, arguments: [job.number]
      ).map { row in
        JobImage(
          job: job.id, index: row["position"], seed: UInt64(bitPattern: row["seed"] as Int64))
      }
    }
  }

  /// A finished image; nil if it is not finished.
  func image(_ index: Int, of id: String) async throws -> StoredImage? {
    try await read { db in
      try Row.fetchOne(
        db,
        sql: """
          SELECT position, image.seed AS seed, file, type, image.bytes AS bytes FROM image
          WHERE job = (SELECT number FROM job WHERE id = ?) AND position = ?
          AND file IS NOT NULL
          """, arguments: [id, index]
      ).map { row in
        StoredImage(
          index: row["position"], seed: UInt64(bitPattern: row["seed"] as Int64),
          file: row["file"], mediaType: row["type"], byteCount: row["bytes"])
      }
    }
  }

  /// The contents of an image; nil if its file is missing.
  func bytes(of image: StoredImage) async throws -> [UInt8]? {
    try await read { _ in try self.images.read(image.file) }
  }

  /// The input image in a file.
  func input(_ file: String?) throws -> PixelImage? {
    guard let file else { return nil }
    guard let bytes = try images.read(file) else {
      throw ServerError(
        .gone, "input_missing", "the input image of the job is missing from the state folder")
    }
    return try PixelImage(picture: bytes)
  }
}
