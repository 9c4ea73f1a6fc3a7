public import Foundation
internal import Synchronization

/// Engines persisted on disk between processes.
///
/// An entry is one file: the exported engine, its key, and a trailer with both lengths and the
/// engine's hash. The key is everything that can change the result: the graph, the identity of the
/// weights, the runtime, the device, its options. The file contains the whole key, which is
/// compared in full; the file's name is only its hash. An entry that is damaged, truncated or of
/// another key is compiled again and replaced. Files get their names by renaming when they are
/// complete, so several processes may share a cache. If the limit is exceeded, the least recently
/// used engines are evicted, except those that a process has mapped.
public struct EngineCache: Sendable {
  /// The folder of the entries.
  public let folder: String

  /// The disk space limit.
  public let limit: EngineCacheLimit

  private let report: @Sendable (String) -> Void
  private let hasReportedFolder = Flag()

  /// Creates a cache in a folder, which is created with the first entry.
  ///
  /// - Parameters:
  ///   - folder: the folder.
  ///   - limit: the disk space limit.
  ///   - report: called with one line if an entry is damaged or cannot be written, and once for a
  ///     folder that is not writable; the engine is compiled in any case.
  public init(
    folder: String, limit: EngineCacheLimit = .automatic,
    report: @escaping @Sendable (String) -> Void = { _ in }
  ) {
    self.folder = folder
    self.limit = limit
    self.report = report
  }

  /// The folder `$STREAMFLOW_CACHE`, or else `streamflow` in the platform's cache folder.
  public static func defaultFolder(
    environment: [String: String] = ProcessInfo.processInfo.environment
  ) -> String {
    if let folder = environment["STREAMFLOW_CACHE"], !folder.isEmpty { return folder }
    #if canImport(Darwin)
      let caches = FileManager.default.urls(for: .cachesDirectory, in: .userDomainMask).first
      return (caches ?? FileManager.default.temporaryDirectory).appending(path: "streamflow").path
    #else
      if let caches = environment["XDG_CACHE_HOME"], caches.hasPrefix("/") {
        return "\(caches)/streamflow"
      }
      return URL(filePath: NSHomeDirectory()).appending(path: ".cache/streamflow")
        .path
    #endif
  }

  /// Loads an engine if its entry exists and is undamaged.
  ///
  /// - Parameters:
  ///   - key: the key of the engine.
  ///   - load: loads an engine from the file.
  func engine(
    for key: EngineKey, load: (EngineFile) throws(EngineError) -> any CompiledGraph
  ) -> (any CompiledGraph)? {
    let path = path(of: key)
    guard FileManager.default.fileExists(atPath: path) else { return nil }
    do throws(EngineError) {
      let file = try EngineFile(reading: path)
      guard try file.isSound(for: key.bytes) else {
        report("'\(path)' is damaged or of another engine; compiling again")
        return nil
      }
      file.noteUse()
      return try load(file)
    } catch {
      report("'\(path)' cannot be used; compiling again: \(error.message)")
      return nil
    }
  }

  /// Persists an engine; reports a failure.
  ///
  /// - Returns: whether it was persisted.
  @discardableResult
  func keep(_ engine: any CompiledGraph, for key: EngineKey) -> Bool {
    do { return try store(engine, for: key) } catch {
      report("the engine of \(key.name) is not cached: \(error.message)")
      return false
    }
  }

  // MARK: - Measurements

  /// The measured seconds of a run, by batch rows.
  ///
  /// Empty if nothing was measured or the file cannot be read.
  func measurements(for key: EngineKey) -> [Int: Double] {
    guard let data = FileManager.default.contents(atPath: path(of: key) + Self.measured) else {
      return [:]
    }
    return (try? JSONDecoder().decode([Int: Double].self, from: data)) ?? [:]
  }

  /// Persists measured seconds of a run; reports a failure.
  func keep(_ measurements: [Int: Double], for key: EngineKey) {
    guard isWritable() else { return }
    do {
      try JSONEncoder().encode(measurements)
        .write(to: URL(filePath: path(of: key) + Self.measured), options: .atomic)
    } catch {
      report("measurements of engines are not cached: \(error.localizedDescription)")
    }
  }

  // MARK: - Entries

  static let suffix = ".engine"
  static let measured = ".measured.json"
  static let unfinished = ".engine.writing-"

  /// Whether the folder exists and is writable; reports once if not.
  private func isWritable() -> Bool {
    try? FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    guard unsafe access(folder, W_OK | X_OK) != 0 else { return true }
    let reason = unsafe String(cString: strerror(errno)).lowercased()
    if hasReportedFolder.set() {
      report(
        "the cache folder '\(folder)' cannot be written (\(reason)); engines will be compiled at "
          + "every start")
    }
    return false
  }

  private func path(of key: EngineKey) -> String { "\(folder)/\(key.fileName)\(Self.suffix)" }

  /// Removes leftovers of writers that were killed: gigabytes for a large engine.
  private func removeAbandoned() {
    let manager = FileManager.default
    for name in (try? manager.contentsOfDirectory(atPath: folder)) ?? [] {
      guard let mark = name.range(of: Self.unfinished),
        let process = Int32(name[mark.upperBound...].prefix { $0 != "-" }),
        kill(process, 0) != 0, errno == ESRCH
      else { continue }
      try? manager.removeItem(atPath: "\(folder)/\(name)")
    }
  }

  private func store(_ engine: any CompiledGraph, for key: EngineKey) throws(EngineError) -> Bool {
    let path = path(of: key)
    guard isWritable() else { return false }
    let temporary =
      "\(path).writing-\(ProcessInfo.processInfo.processIdentifier)-"
      + "\(UInt32.random(in: 0 ... .max))"
    do throws(EngineError) {
      removeAbandoned()
      try engine.export(to: temporary)
      try EngineFile.complete(temporary, key: key.bytes)
      if case .bytes(let most) = limit, let size = EngineFile.byteCount(of: temporary), size > most
      {
        throw EngineError(
          code: .cacheUnusable,
          message: "its size of \(size) bytes exceeds the cache's limit of \(most)")
      }
      guard unsafe rename(temporary, path) == 0 else {
        throw EngineError(code: .cacheUnusable, message: "cannot rename '\(temporary)'")
      }
    } catch {
      unsafe unlink(temporary)
      throw error
    }
    evict(keeping: path)
    return true
  }
}

/// A flag that is set once, shared by all copies of a value.
private final class Flag: Sendable {
  private let isSet = Mutex(false)

  /// Sets the flag; returns false if it was set already.
  func set() -> Bool {
    isSet.withLock { isSet in
      defer { isSet = true }
      return !isSet
    }
  }
}
