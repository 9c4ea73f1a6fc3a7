internal import Foundation
internal import GRDB
internal import Synchronization

/// The jobs of a server: their requests, states and images.
///
/// Rows are in a database, images in files. With a state folder both survive the process. Without
/// one, the rows are in memory and the images in a temporary folder that is removed with the store.
///
/// An image's file is complete and on disk before its row is written, so a row never names a
/// partial file. If the process ends in between, the image is generated again from its seed and
/// replaces the file. When a job is removed, the names of its files are recorded in the transaction
/// that deletes its rows, so that no files are left behind. Files that no row names are not
/// touched.
final class JobStore: Sendable {
  /// Totals that are tracked without queries.
  struct Totals: Sendable, Equatable {
    /// The total size of all files in bytes.
    var byteCount = 0
    /// The number of ended jobs by outcome.
    var ended: [JobStatus: Int] = [:]
    /// The number of ended jobs.
    var endedCount: Int { ended.values.reduce(0, +) }
  }

  /// Whether jobs survive the process.
  let isDurable: Bool
  let database: any DatabaseWriter
  let images: FolderFiles
  private let put: FolderFiles.Put
  private let handle: FolderHandle
  private let state: Mutex<StateFolder?>
  private let temporary: Mutex<ResultFolder?>
  private let counted = Mutex(Totals())

  /// Opens the store in a state folder, which is created if it does not exist.
  ///
  /// - Parameters:
  ///   - folder: the path of the folder.
  ///   - put: writes an image's bytes to its file.
  /// - Throws: if the folder cannot be used or another process uses it, and if its database is
  ///   damaged, newer, or another program's.
  init(folder: String, put: @escaping FolderFiles.Put = FolderFiles.put) throws(StateError) {
    let state = try StateFolder(folder)
    isDurable = true
    self.put = put
    database = try JobDatabase.open(state.database)
    handle = try FolderHandle(state.images)
    images = FolderFiles(path: state.images, descriptor: handle.descriptor, isSynced: true)
    temporary = Mutex(nil)
    self.state = Mutex(state)
    do { try recover() } catch {
      throw StateError(
        code: .folderUnusable, message: "the job database in '\(folder)' cannot be read: \(error)")
    }
  }

  /// Creates a store with rows in memory and images in a temporary folder.
  ///
  /// - Parameters:
  ///   - parent: the folder for the temporary folder.
  ///   - put: writes an image's bytes to its file.
  init(temporaryIn parent: String, put: @escaping FolderFiles.Put = FolderFiles.put) throws {
    let folder = try ResultFolder(in: parent)
    isDurable = false
    self.put = put
    database = try JobDatabase.inMemory()
    handle = try FolderHandle(folder.path)
    images = FolderFiles(path: folder.path, descriptor: handle.descriptor)
    state = Mutex(nil)
    temporary = Mutex(folder)
  }

  /// The current totals.
  var totals: Totals { counted.withLock { $0 } }

  func count(_ change: (inout Totals) -> Void) { counted.withLock { change(&$0) } }

  /// Closes the database and unlocks the folder.
  ///
  /// Later writes fail.
  func close() {
    // The writer must be the last connection, so that it merges the log into the database file.
    (database as? DatabasePool)?.releaseMemory()
    try? database.close()
    temporary.withLock { $0 = nil }
    state.withLock { $0 = nil }
  }

  /// Writes to the database, even if the calling task is cancelled: events that happened must be
  /// recorded.
  func write<Value: Sendable>(
    _ update: @escaping @Sendable (Database) throws -> Value
  ) async throws -> Value {
    let database = database
    return try await Task {
      try await database.writeWithoutTransaction { db in
        var value: Value?
        try db.inTransaction {
          value = try update(db)
          return .commit
        }
        guard let value else { throw DatabaseError(resultCode: .SQLITE_ABORT) }
        return value
      }
    }.value
  }

  /// Reads from the database.
  func read<Value: Sendable>(
    _ query: @escaping @Sendable (Database) throws -> Value
  ) async throws -> Value {
    let database = database
    return try await Task { try await database.read(query) }.value
  }

  /// Stores a file in the folder of images.
  func place(_ bytes: [UInt8], as name: String) throws(ResultStoreError) {
    try images.place(bytes, as: name, with: put)
  }

  /// Completes the interrupted work of a killed process, and computes the totals.
  private func recover() throws {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: images.path)) ?? []
    for name in names where name.hasPrefix(".job_") && name.hasSuffix(".writing") {
      images.remove(name)
    }
    let there = Set(names)
    var totals = Totals()
    try database.write { db in
      for file in try String.fetchAll(db, sql: "SELECT file FROM removal") { images.remove(file) }
      try db.execute(sql: "DELETE FROM removal")
      // If the file of an unfinished job's image is missing, the image is generated again.
      let rows = try Row.fetchAll(
        db,
        sql: """
          SELECT job, position, file, image.bytes AS bytes FROM image
          JOIN job ON job.number = image.job
          WHERE job.outcome IS NULL AND file IS NOT NULL
          """)
      for row in rows where !there.contains(row["file"] as String) {
        try db.execute(
          sql: "DELETE FROM image WHERE job = ? AND position = ?",
          arguments: [row["job"] as Int64, row["position"] as Int])
        try db.execute(
          sql: "UPDATE job SET done = done - 1, bytes = bytes - ? WHERE number = ?",
          arguments: [row["bytes"] as Int, row["job"] as Int64])
      }
      totals.byteCount = try Int.fetchOne(db, sql: "SELECT COALESCE(SUM(bytes), 0) FROM job") ?? 0
      for outcome in JobStatus.outcomes {
        totals.ended[outcome] = try Int.fetchOne(
          db, sql: "SELECT COUNT(*) FROM job WHERE outcome = ?", arguments: [outcome.rawValue])
      }
    }
    count { $0 = totals }
  }
}

/// An open folder, closed with the last reference.
final class FolderHandle: Sendable {
  let descriptor: Int32

  init(_ path: String) throws(StateError) {
    descriptor = unsafe open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else {
      throw StateError(
        code: .folderUnusable,
        message: "the folder '\(path)' cannot be read: \(unsafe String(cString: strerror(errno)))")
    }
  }

  deinit { close(descriptor) }
}
