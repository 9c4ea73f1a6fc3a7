import FlowCore
import FlowGraph
import FlowTestSupport
import Foundation
import Synchronization
import Testing

@testable import FlowEngine

@Suite(.tags(.engine)) struct EngineCacheTests {
  private let folder: TemporaryFolder
  private let weights: String

  init() throws {
    folder = try TemporaryFolder()
    weights = try folder.write(
      SafetensorsWriter.file([("l.weight", [2, 2], [1, 2, 3, 4])]), as: "w.safetensors")
  }

  private func model(scale: Float = 1) throws -> GraphModule {
    let store = try WeightStore(file: weights)
    let graph = Graph(name: "small")
    graph.output(try graph.input("x", shape: [1, 2]).linear(store.root["l"]) * scale, as: "y")
    return GraphModule(graph, weightsIdentity: store.identity)
  }

  private var cacheFolder: String { "\(folder.path)/cache" }

  /// A program by a store of its own.
  private func program(
    _ cache: EngineCache, scale: Float = 1, options: EngineOptions = EngineOptions()
  ) async throws -> Program {
    try await EngineStore.fresh(options: options, cache: cache).program(for: model(scale: scale))
  }

  private func result(of session: Program) throws -> [Float] {
    session.withInput(0, as: Float.self) {
      $0[0] = 1
      $0[1] = 10
    }
    try session.run()
    return session.read(0, as: Float.self) { span in span.indices.map { span[$0] } }
  }

  private func entry() throws -> EngineCache.Entry {
    let entries = try EngineCache(folder: cacheFolder).entries()
    #expect(entries.count == 1)
    return try #require(entries.first)
  }

  @Test("An engine is compiled once, and gives the same afterwards")
  func kept() async throws {
    let cache = EngineCache(folder: cacheFolder) { Issue.record("\($0)") }
    let first = try await program(cache)
    #expect(first.report.origin == .compiled)
    #expect(try result(of: first) == [21, 43])
    let second = try await program(cache)
    #expect(second.report.origin == .cached)
    #expect(try result(of: second) == [21, 43])
    #expect(try entry().name == "small" && entry().byteCount > 100)
    try cache.clear()
    #expect(try cache.entries().isEmpty)
    #expect(try result(of: second) == [21, 43])  // what is in use is in memory
  }

  @Test("Whatever can change the result makes another engine")
  func keys() async throws {
    let cache = EngineCache(folder: cacheFolder) { Issue.record("\($0)") }
    _ = try await program(cache)
    let other = try await program(cache, scale: 2)
    #expect(other.report.origin == .compiled)
    let threads = try await program(cache, options: EngineOptions(threadCount: 1))
    #expect(threads.report.origin == .compiled)
    #expect(try threads.property("INFERENCE_NUM_THREADS") == "1")
    // The same name and size, other weights, a moment later.
    _ = try folder.write(
      SafetensorsWriter.file([("l.weight", [2, 2], [5, 6, 7, 8])]), as: "w.safetensors")
    let changed = try await program(cache)
    #expect(changed.report.origin == .compiled)
    #expect(try result(of: changed) == [65, 87])
  }

  @Test(
    "A damaged entry is reported, compiled again, and never trusted",
    arguments: ["cut", "flipped", "empty", "foreign"])
  func damaged(how: String) async throws {
    let told = Mutex<[String]>([])
    let cache = EngineCache(folder: cacheFolder) { line in told.withLock { $0.append(line) } }
    _ = try await program(cache)
    let path = try entry().path
    var bytes = try Data(contentsOf: URL(filePath: path))
    switch how {
    case "cut": bytes = bytes.prefix(bytes.count / 2)
    case "flipped": bytes[bytes.count / 3] ^= 1
    case "empty": bytes = Data()
    default: bytes = Data((0..<10_000).map { UInt8($0 % 251) })
    }
    try bytes.write(to: URL(filePath: path))
    let session = try await program(cache)
    #expect(session.report.origin == .compiled)
    #expect(try result(of: session) == [21, 43])
    #expect(told.withLock { $0.count } == 1)
    let after = try await program(cache)
    #expect(after.report.origin == .cached)
  }

  @Test("Many at once end with one whole entry")
  func race() async throws {
    let cache = EngineCache(folder: cacheFolder) { Issue.record("\($0)") }
    let (model, folder) = (try model(), cacheFolder)
    try await withThrowingTaskGroup(of: [Float].self) { group in
      for _ in 0..<8 {
        group.addTask {
          let session = try await EngineStore.fresh(cache: cache).program(for: model)
          return try result(of: session)
        }
      }
      for try await result in group { #expect(result == [21, 43]) }
    }
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder).count == 1)
  }

  @Test("A folder that is not writable is reported, and the engine is compiled anyway")
  func unwritable() async throws {
    let file = try folder.write([1], as: "file")
    let told = Mutex<[String]>([])
    let cache = EngineCache(folder: "\(file)/cache") { line in told.withLock { $0.append(line) } }
    let session = try await program(cache)
    #expect(try result(of: session) == [21, 43])
    _ = try await program(cache, scale: 2)
    try await EngineStore.fresh(cache: cache).persist([1: 0.5], of: model())
    // Said once, whatever is not written.
    #expect(
      told.withLock { $0 } == [
        "the cache folder '\(file)/cache' cannot be written (not a directory); engines will be "
          + "compiled at every start"
      ])
  }

  @Test("The folder is the variable's, else the platform's")
  func place() {
    #expect(EngineCache.defaultFolder(environment: ["STREAMFLOW_CACHE": "/c"]) == "/c")
    #if os(Linux)
      #expect(EngineCache.defaultFolder(environment: ["XDG_CACHE_HOME": "/x"]) == "/x/streamflow")
    #endif
  }

  // MARK: - Limit

  /// Makes the engine of a scale and says how.
  private func origin(
    _ scale: Float, _ cache: EngineCache
  ) async throws -> EngineReport.Origin {
    try await program(cache, scale: scale).report.origin
  }

  /// Makes all entries look unused for some seconds.
  private func age(_ entries: [EngineCache.Entry], seconds: Double) throws {
    for entry in entries {
      try FileManager.default.setAttributes(
        [.modificationDate: Date(timeIntervalSinceNow: -seconds)], ofItemAtPath: entry.path)
    }
  }

  @Test("Beyond the limit the engines go that were used least recently")
  func evicted() async throws {
    let cache = EngineCache(folder: cacheFolder)
    #expect(try await origin(1, cache) == .compiled)
    let size = try entry().byteCount
    try age(cache.entries(), seconds: 100)
    let first = try entry().path
    let limited = EngineCache(folder: cacheFolder, limit: .bytes(size * 5 / 2)) {
      Issue.record("\($0)")
    }
    #expect(try await origin(2, limited) == .compiled)
    try age(limited.entries().filter { $0.path != first }, seconds: 50)
    // Its use makes the older one the younger one.
    #expect(try await origin(1, limited) == .cached)
    #expect(try await origin(3, limited) == .compiled)
    #expect(try limited.entries().count == 2)
    #expect(try limited.limitByteCount() == size * 5 / 2)
    #expect(try await origin(1, cache) == .cached)
    #expect(try await origin(3, cache) == .cached)
    #expect(try await origin(2, cache) == .compiled)
  }

  @Test("An engine that is mapped is not evicted, though it was used least recently")
  func mapped() async throws {
    let cache = EngineCache(folder: cacheFolder)
    #expect(try await origin(1, cache) == .compiled)
    let (size, path) = (try entry().byteCount, try entry().path)
    let session = try await program(cache)
    #expect(session.report.origin == .cached)
    #expect(!EngineFile.removeIfUnused(path))
    let limited = EngineCache(folder: cacheFolder, limit: .bytes(size * 3 / 2))
    try age(cache.entries(), seconds: 100)
    #expect(try await origin(2, limited) == .compiled)
    #expect(try Set(cache.entries().map(\.path)).contains(path))
    try age(cache.entries(), seconds: 100)
    #expect(try await origin(3, limited) == .compiled)
    // The one in between went: it is not in use.
    #expect(try cache.entries().count == 2)
    #expect(try result(of: session) == [21, 43])
    #expect(try await origin(2, cache) == .compiled)
  }

  @Test("An engine that alone exceeds the limit is compiled, reported and not stored")
  func large() async throws {
    let told = Mutex<[String]>([])
    let cache = EngineCache(folder: cacheFolder, limit: .bytes(100)) { line in
      told.withLock { $0.append(line) }
    }
    #expect(try await origin(1, cache) == .compiled)
    #expect(try cache.entries().isEmpty)
    #expect(told.withLock { $0.first }?.contains("exceeds the cache's limit of 100") == true)
  }

  @Test("Entries are found by the weights they were compiled from")
  func weightsOfEntries() async throws {
    let cache = EngineCache(folder: cacheFolder)
    _ = try await origin(1, cache)
    let identity = try WeightStore(file: weights).identity
    #expect(cache.isEntry(try entry(), compiledFrom: Set(identity)))
    #expect(!cache.isEntry(try entry(), compiledFrom: ["other"]))
    try cache.remove([entry()])
    #expect(try cache.entries().isEmpty)
  }

  @Test(
    "Limits are sizes with units, off or auto",
    arguments: [
      ("8GB", .bytes(8_000_000_000)), ("1.5 gb", .bytes(1_500_000_000)), ("2GiB", .bytes(2 << 30)),
      ("500000000", .bytes(500_000_000)), ("0", .unlimited),
      ("off", .unlimited), ("auto", .automatic), ("-1", nil), ("8 apples", nil),
      ("1e30", nil), ("9999999TB", nil), ("", nil),
    ] as [(String, EngineCacheLimit?)])
  func limits(text: String, limit: EngineCacheLimit?) throws {
    #expect(EngineCacheLimit(text) == limit)
    guard !text.isEmpty else { return }
    let environment = ["STREAMFLOW_CACHE_LIMIT": text]
    if let limit {
      #expect(try EngineCacheLimit.named(in: environment) == limit)
    } else {
      let error = #expect(throws: EngineError.self) {
        try EngineCacheLimit.named(in: environment)
      }
      #expect(error?.message.hasSuffix("got '\(text)'") == true)
    }
  }

  @Test("The automatic limit is a tenth of the disk, at least 4 GB")
  func automatic() throws {
    let few = try #require(
      EngineCacheLimit.automatic.byteCount(inFolder: cacheFolder, usedByteCount: 0))
    #expect(few >= 4_000_000_000)
    let many = try #require(
      EngineCacheLimit.automatic.byteCount(
        inFolder: cacheFolder, usedByteCount: 1_000_000_000_000_000))
    #expect(many >= 100_000_000_000_000)
    #expect(try EngineCacheLimit.named(in: [:]) == .automatic)
  }
}
