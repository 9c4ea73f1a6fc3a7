import FlowTestSupport
import Foundation
import GRDB
import Synchronization
import Testing

@testable import FlowServer

@Suite struct JobStoreTests {
  private let folder: TemporaryFolder
  private var state: String { "\(folder.path)/state" }
  private var database: String { "\(state)/jobs.sqlite" }

  init() throws { folder = try TemporaryFolder() }

  private static func insert(
    _ store: JobStore, _ id: String, count: Int = 3
  ) async throws -> JobRecord {
    let order = try ImageOrder.job(#"{"prompt": "a fox", "n": \#(count), "seed": 7}"#)
    return try await store.insert(
      try JobRequest(order, model: "fake"), id: id, client: "someone", total: count)
  }

  private static func execute(_ sql: String, in database: String) throws {
    let queue = try DatabaseQueue(path: database)
    try queue.writeWithoutTransaction { try $0.execute(sql: sql) }
    try queue.close()
  }

  private func bytes(of path: String) throws -> Data {
    try Data(contentsOf: URL(filePath: path))
  }

  @Test("What is stored is there after the store is opened again")
  func reopening() async throws {
    var store = try JobStore(folder: state)
    let record = try await Self.insert(store, "job_a")
    #expect(try await store.add([1, 2], index: 1, seed: 8, encoding: .png, to: record))
    // A second time it is known.
    #expect(try await store.add([9], index: 1, seed: 8, encoding: .png, to: record) == false)
    #expect(try await store.addFailure(index: 2, to: record))
    store.close()

    store = try JobStore(folder: state)
    let found = try #require(try await store.unfinished().first)
    #expect(found.id == "job_a" && found.client == "someone" && found.model == "fake")
    #expect(found.seed == 7 && found.total == 3 && found.done == 1 && found.failed == 1)
    #expect(found.byteCount == 2 && store.totals.byteCount == 2)
    #expect(try await store.settledIndices(of: found) == [1, 2])
    #expect(try await store.images(of: found).map(\.seed) == [8])
    let image = try #require(try await store.image(1, of: "job_a"))
    #expect(image.mediaType == "image/png" && image.file == "job_a-0001.png")
    #expect(try await store.bytes(of: image) == [1, 2])
    #expect(try await store.image(0, of: "job_a") == nil)
    #expect(try await store.order(of: found.number).prompts == ["a fox"])

    try await store.end(found.number, .failed, error: ServerError.stopping.body.error)
    #expect(try await store.unfinished().isEmpty)
    let ended = try #require(try await store.record("job_a"))
    #expect(ended.outcome == .failed && ended.error?.code == "shutting_down")
    // The first end counts.
    try await store.end(found.number, .done, error: nil)
    #expect(store.totals.ended == [.done: 0, .failed: 1, .cancelled: 0])
    try await store.remove(ended)
    #expect(try FileManager.default.contentsOfDirectory(atPath: "\(state)/images").isEmpty)
    #expect(store.totals.byteCount == 0 && store.totals.endedCount == 0)
    store.close()
  }

  @Test("The folder is private, and used by one server at a time")
  func locking() throws {
    let store = try JobStore(folder: state)
    let attributes = try FileManager.default.attributesOfItem(atPath: state)
    #expect((attributes[.posixPermissions] as? NSNumber)?.intValue == 0o700)
    let error = #expect(throws: StateError.self) { try JobStore(folder: state) }
    #expect(error?.code == .inUse)
    #expect(error?.message.contains("process \(getpid())") == true)
    store.close()
    try JobStore(folder: state).close()
  }

  @Test("A folder that cannot be used is one clear error")
  func unusable() throws {
    let file = try folder.write([1], as: "file")
    let error = #expect(throws: StateError.self) { try JobStore(folder: file) }
    #expect(error?.code == .folderUnusable && error?.message.contains(file) == true)
  }

  @Test(
    "A damaged database is an error, and stays as it is",
    arguments: ["header", "middle", "end", "text"])
  func damage(kind: String) async throws {
    let store = try JobStore(folder: state)
    for number in 0..<200 { _ = try await Self.insert(store, "job_\(number)") }
    store.close()
    var data = try bytes(of: database)
    #expect(data.count > 16384)
    switch kind {
    case "header": data.replaceSubrange(0..<8, with: [1, 2, 3, 4, 5, 6, 7, 8])
    case "middle": data.replaceSubrange(4096..<12288, with: Data(repeating: 0x5A, count: 8192))
    case "end": data = data.prefix(data.count / 2)
    default: data = Data("these are not the rows that you are looking for".utf8)
    }
    try data.write(to: URL(filePath: database))
    let error = #expect(throws: StateError.self) { try JobStore(folder: state) }
    #expect(error?.code == .damaged, "\(error?.message ?? "")")
    #expect(error?.message.contains("nothing was changed") == true)
    #expect(try bytes(of: database) == data)
  }

  @Test("A database of a newer version, or of another program, is an error and stays as it is")
  func strangers() throws {
    for (code, sql) in [
      (StateError.Code.newer, "PRAGMA user_version = 99"),
      (.newer, "INSERT INTO grdb_migrations (identifier) VALUES ('99')"),
      (.foreign, "PRAGMA application_id = 252006674"),
    ] {
      try? FileManager.default.removeItem(atPath: state)
      try JobStore(folder: state).close()
      try Self.execute(sql, in: database)
      let data = try bytes(of: database)
      let error = #expect(throws: StateError.self) { try JobStore(folder: state) }
      #expect(error?.code == code, "\(error?.message ?? "")")
      #expect(try bytes(of: database) == data)
    }
    // Another program's tables without a mark of their own.
    try FileManager.default.removeItem(atPath: database)
    try Self.execute("CREATE TABLE job (id TEXT)", in: database)
    #expect(throws: StateError.self) { try JobStore(folder: state) }
  }

  @Test("What a killed process left half done is completed when the store is opened")
  func recovery() async throws {
    var store = try JobStore(folder: state)
    let record = try await Self.insert(store, "job_a")
    for index in 0..<2 {
      _ = try await store.add([1], index: index, seed: 7, encoding: .png, to: record)
    }
    try await store.write {
      try $0.execute(sql: "INSERT INTO removal VALUES ('job_b-0000.png')")
    }
    store.close()
    let images = "\(state)/images"
    for name in [".job_a-0002.png.writing", "job_b-0000.png", "job_c-0000.png"] {
      try Data([1]).write(to: URL(filePath: "\(images)/\(name)"))
    }
    try FileManager.default.removeItem(atPath: "\(images)/job_a-0001.png")

    store = try JobStore(folder: state)
    // Partial and half-removed files have gone; what no row names is left alone.
    #expect(
      try FileManager.default.contentsOfDirectory(atPath: images).sorted()
        == ["job_a-0000.png", "job_c-0000.png"])
    // An image whose file has gone is made again.
    let found = try #require(try await store.unfinished().first)
    #expect(found.done == 1 && found.byteCount == 1)
    #expect(try await store.settledIndices(of: found) == [0])
    store.close()
  }

  @Test("A full disk is an error, and leaves neither a file nor a row")
  func fullDisk() async throws {
    let store = try JobStore(folder: state) { file, bytes in
      _ = FolderFiles.put(file, [bytes[0]])
      errno = ENOSPC
      return false
    }
    let record = try await Self.insert(store, "job_a")
    let error = await #expect(throws: ResultStoreError.self) {
      try await store.add([1, 2], index: 0, seed: 7, encoding: .png, to: record)
    }
    #expect(error?.code == .diskFull)
    #expect(error.map { JobPause.isStorageFailure($0) } == true)
    #expect(try FileManager.default.contentsOfDirectory(atPath: "\(state)/images").isEmpty)
    #expect(try await store.settledIndices(of: record).isEmpty)
    #expect(store.totals.byteCount == 0)
    store.close()
  }

  @Test("Ended jobs are removed by age, by number and by bytes, the oldest first")
  func retention() async throws {
    let store = try JobStore(temporaryIn: folder.path)
    let start = Date(timeIntervalSince1970: 1_000_000)
    for number in 0..<6 {
      let record = try await Self.insert(store, "job_\(number)")
      _ = try await store.add(
        Array(repeating: 1, count: 100), index: 0, seed: 7, encoding: .png, to: record)
      guard number < 5 else { break }
      try await store.end(
        record.number, .done, error: nil, now: start + Double(number))
    }
    var retention = JobRetention(lifetime: .seconds(10), byteCount: 10_000, jobCount: 100)
    #expect(try await store.enforce(retention, now: start + 10) == [])
    #expect(try await store.enforce(retention, now: start + 11.5) == ["job_0", "job_1"])
    retention.jobCount = 2
    #expect(try await store.enforce(retention, now: start + 11.5) == ["job_2"])
    retention.byteCount = 250
    #expect(try await store.enforce(retention, now: start + 11.5) == ["job_3"])
    // Neither the job that ended last nor one that has not ended is too large.
    retention.byteCount = 1
    #expect(try await store.enforce(retention, now: start + 11.5) == [])
    #expect(store.totals == .init(byteCount: 200, ended: [.done: 1]))
    #expect(try await store.enforce(retention, now: start + 15) == ["job_4"])
    #expect(try await store.unfinished().map(\.id) == ["job_5"])
    store.close()
  }

  @Test("A page follows another by its last job, whatever was removed meanwhile")
  func pages() async throws {
    let store = try JobStore(temporaryIn: folder.path)
    for number in 0..<10 {
      let record = try await Self.insert(store, "job_\(number)")
      if number % 3 == 0 { try await store.end(record.number, .cancelled, error: nil) }
    }
    func ids(_ query: JobQuery, after id: String? = nil) async throws -> ([String], Bool) {
      var number: Int64?
      if let id { number = try await store.record(id)?.number }
      let (jobs, hasMore) = try await store.page(query, after: number)
      return (jobs.map(\.id), hasMore)
    }
    var query = JobQuery(limit: 4)
    #expect(try await ids(query) == (["job_9", "job_8", "job_7", "job_6"], true))
    #expect(try await ids(query, after: "job_6") == (["job_5", "job_4", "job_3", "job_2"], true))
    #expect(try await ids(query, after: "job_2") == (["job_1", "job_0"], false))
    #expect(try await ids(query, after: "job_0") == ([], false))
    query.isAscending = true
    #expect(try await ids(query, after: "job_7") == (["job_8", "job_9"], false))
    query = JobQuery(limit: 2, status: .cancelled)
    #expect(try await ids(query) == (["job_9", "job_6"], true))
    #expect(try await ids(query, after: "job_6") == (["job_3", "job_0"], false))
    store.close()
  }

  @Test("No request visits all jobs: every query finds its rows by an index")
  func queryPlans() async throws {
    let store = try JobStore(temporaryIn: folder.path)
    let record = try await Self.insert(store, "job_a")
    let statements = StatementLog()
    try await store.database.writeWithoutTransaction { db in
      db.trace { event in
        if case .statement(let statement) = event { statements.add(statement.sql) }
      }
    }
    _ = try await Self.insert(store, "job_b")
    _ = try await store.add([1], index: 0, seed: 7, encoding: .png, to: record)
    _ = try await store.addFailure(index: 1, to: record)
    _ = try await store.settledIndices(of: record)
    _ = try await store.images(of: record)
    _ = try await store.image(0, of: "job_a")
    _ = try await store.order(of: record.number)
    for status in [nil, JobStatus.done] {
      for isAscending in [false, true] {
        _ = try await store.page(JobQuery(status: status, isAscending: isAscending), after: 1)
      }
    }
    try await store.end(record.number, .done, error: nil)
    let retention = JobRetention(lifetime: .zero, byteCount: 0, jobCount: 0)
    #expect(try await store.enforce(retention, now: Date() + 1) == ["job_a"])
    let texts = statements.texts.filter {
      $0.contains("job") && !$0.hasPrefix("PRAGMA") && !$0.hasPrefix("--")
    }
    #expect(texts.count > 15)
    try await store.database.read { db in
      for text in texts {
        let unbound = text.replacing("?", with: "NULL").replacing(":job", with: "NULL")
        let plan = try Row.fetchAll(db, sql: "EXPLAIN QUERY PLAN " + unbound)
          .map { $0["detail"] as String }
        for step in plan {
          // The oldest ended jobs are the first of their index.
          #expect(
            !step.hasPrefix("SCAN job") || step == "SCAN job USING INDEX job_by_end",
            "\(text): \(step)")
        }
      }
    }
    store.close()
  }

  private final class StatementLog: Sendable {
    private let found = Mutex<[String]>([])
    var texts: [String] { found.withLock { $0 } }
    func add(_ text: String) { found.withLock { $0.append(text) } }
  }
}
