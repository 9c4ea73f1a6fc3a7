internal import Foundation
internal import GRDB
internal import HTTPTypes

/// Jobs: accepted, ended, listed, removed.
extension JobStore {
  private static let columns = """
    number, id, client, model, seed, total, warnings, created, done, failed, bytes, outcome, ended, error
    """

  /// Stores an accepted job with its input image.
  ///
  /// - Parameters:
  ///   - request: the job's request.
  ///   - id: its id.
  ///   - client: the client of the job.
  ///   - total: the number of its images.
  ///   - input: the PNG file of its input image, if any.
  ///   - now: the time of acceptance.
  func insert(
    _ request: JobRequest, id: String, client: String, total: Int, input: [UInt8]? = nil,
    now: Date = Date()
  ) async throws -> JobRecord {
    let json = try request.json()
    let (model, seed) = (request.order.model ?? "", request.seed)
    let file = input.map { _ in "\(id)-input.png" }
    // The images of adapters and references are part of the request.
    let size = (input?.count ?? 0) + (request.hasImages ? json.utf8.count : 0)
    let warnings = request.warnings.isEmpty ? nil : try StoredValue.json(request.warnings)
    let number = try await write { db in
      if let input, let file { try self.place(input, as: file) }
      do {
        try db.execute(
          sql: """
            INSERT INTO job (id, client, model, seed, total, request, request_version, input,
              warnings, created, bytes) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """,
          arguments: [
            id, client, model, Int64(bitPattern: seed), total, json, request.version, file,
            warnings, now.timeIntervalSince1970, size,
          ])
      } catch {
        if let file { self.images.remove(file) }
        throw error
      }
      return db.lastInsertedRowID
    }
    count { $0.byteCount += size }
    return JobRecord(
      number: number, id: id, client: client, model: model, seed: seed, total: total,
      created: now, warnings: request.warnings, byteCount: size)
  }

  /// Records the warnings of a job.
  func setWarnings(_ warnings: [ResponseWarning], of number: Int64) async throws {
    let text = try StoredValue.json(warnings)
    try await write { db in
      try db.execute(
        sql: "UPDATE job SET warnings = ? WHERE number = ?", arguments: [text, number])
    }
  }

  /// Records how a job ended.
  func end(
    _ number: Int64, _ outcome: JobStatus, error: ErrorBody.Content?, now: Date = Date()
  ) async throws {
    let text = try error.map { try StoredValue.json(StoredError($0)) }
    let isChanged = try await write { db in
      try db.execute(
        sql: """
          UPDATE job SET outcome = ?, ended = ?, error = ? WHERE number = ? AND outcome IS NULL
          """, arguments: [outcome.rawValue, now.timeIntervalSince1970, text, number])
      return db.changesCount > 0
    }
    if isChanged { count { $0.ended[outcome, default: 0] += 1 } }
  }

  /// The unfinished jobs, oldest first.
  func unfinished() async throws -> [JobRecord] {
    try await read { db in
      try Row.fetchAll(
        db, sql: "SELECT \(Self.columns) FROM job WHERE outcome IS NULL ORDER BY number"
      ).map(JobRecord.init(row:))
    }
  }

  /// The order of a job, with its input image.
  func order(of number: Int64) async throws -> ImageOrder {
    let stored = try await read { db -> (request: String, version: Int, input: String?)? in
      try Row.fetchOne(
        db, sql: "SELECT request, request_version, input FROM job WHERE number = ?",
        arguments: [number]
      ).map { ($0["request"], $0["request_version"], $0["input"]) }
    }
    guard let stored else { throw ServerError.notFound("the job was removed") }
    do {
      return try JobRequest(json: stored.request, version: stored.version)
        .order(input: input(stored.input))
    } catch let error as DecodingError {
      throw ServerError(
        .gone, "request_unreadable", "the stored request of the job cannot be read: \(error)")
    }
  }

  /// The job with an id; nil if there is none.
  func record(_ id: String) async throws -> JobRecord? {
    try await read { db in
      try Row.fetchOne(
        db, sql: "SELECT \(Self.columns) FROM job WHERE id = ?", arguments: [id]
      ).map(JobRecord.init(row:))
    }
  }

  /// A page of jobs, and whether more follow.
  ///
  /// - Parameters:
  ///   - query: the filter; a `status` must be an outcome.
  ///   - number: the number of the job before the page.
  func page(
    _ query: JobQuery, after number: Int64?
  ) async throws -> (jobs: [JobRecord], hasMore: Bool) {
    let start = number ?? (query.isAscending ? 0 : .max)
    let (comparison, direction) = query.isAscending ? (">", "ASC") : ("<", "DESC")
    let filter = query.status == nil ? "" : "AND outcome = ?"
    var arguments: StatementArguments = [start]
    if let status = query.status { arguments += [status.rawValue] }
    arguments += [query.limit + 1]
    let sql = """
      SELECT \(Self.columns) FROM job WHERE number \(comparison) ? \(filter)
      ORDER BY number \(direction) LIMIT ?
      """
    let jobs = try await read { [arguments] db in
      try Row.fetchAll(db, sql: sql, arguments: arguments).map(JobRecord.init(row:))
    }
    return (Array(jobs.prefix(query.limit)), jobs.count > query.limit)
  }

  /// Removes a job with its files.
  func remove(_ job: JobRecord) async throws {
    let (files, record) = try await write { db in
      let record = try Row.fetchOne(
        db, sql: "SELECT \(Self.columns) FROM job WHERE number = ?", arguments: [job.number]
      ).map(JobRecord.init(row:))
      let files = try String.fetchAll(
        db,
        sql: """
          SELECT file FROM image WHERE job = :job AND file IS NOT NULL
          UNION ALL SELECT input FROM job WHERE number = :job AND input IS NOT NULL
          """, arguments: ["job": job.number])
      for file in files {
        try db.execute(sql: "INSERT OR IGNORE INTO removal (file) VALUES (?)", arguments: [file])
      }
      try db.execute(sql: "DELETE FROM job WHERE number = ?", arguments: [job.number])
      return (files, record)
    }
    guard let record else { return }
    count { totals in
      totals.byteCount -= record.byteCount
      if let outcome = record.outcome { totals.ended[outcome, default: 0] -= 1 }
    }
    try await write { db in
      for file in files {
        self.images.remove(file)
        try db.execute(sql: "DELETE FROM removal WHERE file = ?", arguments: [file])
      }
    }
  }
}

/// An error in its stored form.
private struct StoredError: Codable {
  let code: String
  let type: String
  let message: String

  init(_ error: ErrorBody.Content) {
    (code, type, message) = (error.code, error.type, error.message)
  }
}

/// Values that are stored as JSON.
private enum StoredValue {
  static func json(_ value: some Encodable) throws -> String {
    String(decoding: try JSONEncoder().encode(value), as: UTF8.self)
  }

  static func value<Value: Decodable>(_ text: String?, of type: Value.Type) -> Value? {
    text.flatMap { try? JSONDecoder().decode(type, from: Data($0.utf8)) }
  }
}

extension JobRecord {
  /// Creates a record from a row of the table `job`.
  fileprivate init(row: Row) {
    self.init(
      number: row["number"], id: row["id"], client: row["client"], model: row["model"],
      seed: UInt64(bitPattern: row["seed"] as Int64), total: row["total"],
      created: Date(timeIntervalSince1970: row["created"]),
      warnings: StoredValue.value(row["warnings"], of: [ResponseWarning].self) ?? [],
      done: row["done"], failed: row["failed"], byteCount: row["bytes"],
      outcome: (row["outcome"] as String?).flatMap(JobStatus.init),
      ended: (row["ended"] as Double?).map(Date.init(timeIntervalSince1970:)))
    if let stored = StoredValue.value(row["error"], of: StoredError.self) {
      error = ErrorBody.Content(
        message: stored.message, type: stored.type, param: nil, code: stored.code)
    }
  }
}
