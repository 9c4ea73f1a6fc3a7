internal import Foundation
internal import GRDB

/// Opens, checks and migrates the database of jobs.
///
/// A database is first opened read-only. A damaged, newer or foreign database is reported and not
/// modified.
enum JobDatabase {
  /// The format's application id in the file's header: the letters SFLW.
  static let applicationID = 0x5346_4C57
  /// The version of the format in the file's header.
  static let version = 1

  /// Opens a database in SQLite's write-ahead mode, and creates it if it does not exist.
  static func open(_ path: String) throws(StateError) -> DatabasePool {
    do {
      if FileManager.default.fileExists(atPath: path) { try check(path) }
      var configuration = Configuration()
      configuration.label = "streamflow.jobs"
      // Other tools may hold locks on the database.
      configuration.busyMode = .timeout(5)
      let database = try DatabasePool(path: path, configuration: configuration)
      // Confirmed changes must survive a power failure too.
      try database.writeWithoutTransaction { try $0.execute(sql: "PRAGMA synchronous = FULL") }
      try migrator.migrate(database)
      return database
    } catch let error as StateError { throw error } catch { throw failure(error, path) }
  }

  /// An in-memory database.
  static func inMemory() throws -> DatabaseQueue {
    let database = try DatabaseQueue()
    try migrator.migrate(database)
    return database
  }

  /// Checks a database without writing to it.
  private static func check(_ path: String) throws {
    var configuration = Configuration()
    configuration.readonly = true
    configuration.busyMode = .timeout(5)
    let database = try DatabaseQueue(path: path, configuration: configuration)
    try database.read { db in
      let application = try Int.fetchOne(db, sql: "PRAGMA application_id") ?? 0
      let version = try Int.fetchOne(db, sql: "PRAGMA user_version") ?? 0
      let count = try Int.fetchOne(db, sql: "SELECT COUNT(*) FROM sqlite_master") ?? 0
      // The file was created but not initialized before the process ended.
      if application == 0, version == 0, count == 0 { return }
      guard application == applicationID else {
        throw StateError(
          code: .foreign,
          message: "'\(path)' is not a StreamFlow job database (application id \(application), "
            + "expected \(applicationID)); choose another folder")
      }
      let isUnknown = try migrator.hasBeenSuperseded(db)
      guard version <= Self.version, !isUnknown else {
        throw StateError(
          code: .newer,
          message:
            "'\(path)' was written by a newer version of StreamFlow (format \(version), this "
            + "one reads up to \(Self.version)); update StreamFlow, or choose another folder")
      }
      let problems = try String.fetchAll(db, sql: "PRAGMA quick_check(3)")
      guard problems == ["ok"] else {
        throw damaged(path, problems.joined(separator: "; "))
      }
    }
    try database.close()
  }

  /// The migrations of older databases.
  ///
  /// A released migration never changes. Identifiers count up with ``version``.
  static var migrator: DatabaseMigrator {
    var migrator = DatabaseMigrator()
    migrator.registerMigration("1") { db in
      try db.execute(
        sql: """
          CREATE TABLE job (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            id TEXT NOT NULL UNIQUE,
            client TEXT NOT NULL,
            model TEXT NOT NULL,
            seed INTEGER NOT NULL,
            total INTEGER NOT NULL,
            request TEXT NOT NULL,
            request_version INTEGER NOT NULL,
            input TEXT,
            warnings TEXT,
            created REAL NOT NULL,
            done INTEGER NOT NULL DEFAULT 0,
            failed INTEGER NOT NULL DEFAULT 0,
            bytes INTEGER NOT NULL DEFAULT 0,
            outcome TEXT,
            ended REAL,
            error TEXT
          );
          CREATE INDEX job_by_outcome ON job(outcome, number);
          CREATE INDEX job_by_end ON job(ended, number) WHERE ended IS NOT NULL;
          CREATE TABLE image (
            job INTEGER NOT NULL REFERENCES job(number) ON DELETE CASCADE,
            position INTEGER NOT NULL,
            seed INTEGER,
            file TEXT,
            type TEXT,
            bytes INTEGER NOT NULL DEFAULT 0,
            PRIMARY KEY (job, position)
          ) WITHOUT ROWID;
          CREATE TABLE removal (file TEXT PRIMARY KEY) WITHOUT ROWID;
          PRAGMA application_id = \(applicationID);
          PRAGMA user_version = 1;
          """)
    }
    return migrator
  }

  private static func damaged(_ path: String, _ reason: String) -> StateError {
    StateError(
      code: .damaged,
      message: "the job database '\(path)' is damaged (\(reason)); nothing was changed. Restore it "
        + "from a backup, or move it and its -wal file away to start with an empty one; finished "
        + "images stay in the folder 'images' beside it")
  }

  private static func failure(_ error: any Error, _ path: String) -> StateError {
    guard let error = error as? DatabaseError else {
      return StateError(
        code: .folderUnusable, message: "the job database '\(path)' cannot be opened: \(error)")
    }
    let reason = error.message ?? "SQLite error \(error.extendedResultCode.rawValue)"
    switch error.resultCode {
    case .SQLITE_CORRUPT, .SQLITE_NOTADB: return damaged(path, reason)
    default:
      return StateError(
        code: .folderUnusable,
        message: "the job database '\(path)' cannot be opened: \(reason); check the folder's "
          + "permissions and its free space")
    }
  }
}
