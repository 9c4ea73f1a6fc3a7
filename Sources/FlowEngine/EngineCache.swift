public import FlowGraph
public import Foundation
internal import Synchronization

/// Engines kept on disk between processes.
///
/// An entry is one file: the exported engine, the key it was made for, and a trailer with both
/// lengths and the engine's hash. The key is everything that can change the result: the graph,
/// the identity of the weights, the runtime, the device, its options. It stands in the file whole
/// and is compared whole; the file's name is only its hash. An entry that is damaged, cut short
/// or of another key is compiled anew and replaced. Files appear under their name complete, by
/// renaming, so several processes may share a cache. Beyond its limit the engines go that were used
/// least recently, never one that a process has mapped.
public struct EngineCache: Sendable {
  /// The folder that entries are kept in.
  public let folder: String

  /// How much disk space it may take.
  public let limit: EngineCacheLimit

  private let report: @Sendable (String) -> Void
  private let hasReportedFolder = Flag()

  /// Uses a folder, which is made when the first entry is written.
  ///
  /// - Parameters:
  ///   - folder: the folder.
  ///   - limit: how much disk space it may take.
  ///   - report: called with one line where an entry is damaged or cannot be written, of a folder
  ///     that cannot be written once; the engine is compiled all the same.
  public init(
    folder: String, limit: EngineCacheLimit = .automatic,
    report: @escaping @Sendable (String) -> Void = { _ in }
  ) {
    self.folder = folder
    self.limit = limit
    self.report = report
  }

  /// The folder of `$STREAMFLOW_CACHE`, or else the platform's cache folder's `streamflow`.
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
      return FileManager.default.homeDirectoryForCurrentUser.appending(path: ".cache/streamflow")
        .path
    #endif
  }

  /// What an engine is kept as.
  public struct Place: Sendable {
    fileprivate let key: [UInt8]
    fileprivate let path: String
  }

  /// Where the engine of a model is kept.
  public func place(
    of model: ONNXModel, configuration: EngineConfiguration
  ) throws(EngineError) -> Place {
    let key = try key(of: model, configuration: configuration, runtime: .shared())
    return Place(key: key, path: path(of: key, name: model.name))
  }

  /// Takes an engine up again, if it is kept and undamaged.
  func engine(
    at place: Place, of model: ONNXModel, configuration: EngineConfiguration
  ) throws(EngineError) -> CompiledModel? {
    load(
      place.path, key: place.key, named: model.name, configuration: configuration,
      runtime: try .shared())
  }

  /// Keeps an engine; where that fails, the report says so.
  func keep(_ engine: borrowing CompiledModel, at place: Place) {
    do { try store(engine, key: place.key, at: place.path) } catch {
      report("the engine of \(engine.name) is not cached: \(error.message)")
    }
  }

  // MARK: - Measurements

  /// What was measured of engines of a kind: seconds of a run, by its rows.
  ///
  /// Empty where nothing was measured, or it cannot be read.
  public func measurements(at place: Place) -> [Int: Double] {
    guard let data = FileManager.default.contents(atPath: place.path + Self.measured) else {
      return [:]
    }
    return (try? JSONDecoder().decode([Int: Double].self, from: data)) ?? [:]
  }

  /// Keeps what was measured of engines of a kind; where that fails, the report says so.
  public func keep(_ measurements: [Int: Double], at place: Place) {
    guard isWritable() else { return }
    do {
      try JSONEncoder().encode(measurements)
        .write(to: URL(filePath: place.path + Self.measured), options: .atomic)
    } catch {
      report("measurements of engines are not cached: \(error.localizedDescription)")
    }
  }

  // MARK: - Entries

  static let suffix = ".engine"
  static let measured = ".measured.json"
  static let unfinished = ".engine.writing-"

  /// Whether the folder is there and can be written; where not, the report says so once.
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

  private func path(of key: [UInt8], name: String) -> String {
    let safe = String(name.map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "_" })
    return "\(folder)/\(safe)-\(ContentHash.of(key))\(Self.suffix)"
  }

  private func key(
    of model: ONNXModel, configuration: EngineConfiguration, runtime: Runtime
  ) throws(EngineError) -> [UInt8] {
    let graph: [UInt8]
    do { graph = try model.serialized(locatingWeightsBy: .file) } catch {
      throw EngineError(code: .modelUnreadable, message: error.message)
    }
    let device = configuration.device
    let deviceName = try runtime.property("FULL_DEVICE_NAME", of: device)
    let capabilities = try runtime.property("OPTIMIZATION_CAPABILITIES", of: device)
    let lines =
      [
        "StreamFlow engine 1", runtime.version, device, deviceName, capabilities,
        "\(ProcessInfo.processInfo.activeProcessorCount)",
      ]
      + configuration.properties.map { "\($0.key)=\($0.value)" } + model.weightsIdentity
    return Array(lines.joined(separator: "\n").utf8) + graph
  }

  private func load(
    _ path: String, key: [UInt8], named name: String, configuration: EngineConfiguration,
    runtime: Runtime
  ) -> CompiledModel? {
    guard FileManager.default.fileExists(atPath: path) else { return nil }
    do throws(EngineError) {
      let file = try EngineFile(reading: path)
      guard try file.isSound(for: key) else {
        report("'\(path)' is damaged or of another engine; it is compiled again")
        return nil
      }
      file.noteUse()
      return try runtime.importModel(file, named: name, configuration: configuration)
    } catch {
      report("'\(path)' cannot be used and is compiled again: \(error.message)")
      return nil
    }
  }

  /// Removes what writers left that were killed: gigabytes, of a large engine.
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

  private func store(
    _ engine: borrowing CompiledModel, key: [UInt8], at path: String
  ) throws(EngineError) {
    guard isWritable() else { return }
    let temporary =
      "\(path).writing-\(ProcessInfo.processInfo.processIdentifier)-"
      + "\(UInt32.random(in: 0 ... .max))"
    do throws(EngineError) {
      removeAbandoned()
      try engine.export(to: temporary)
      try EngineFile.complete(temporary, key: key)
      if case .bytes(let most) = limit, let size = EngineFile.byteCount(of: temporary), size > most
      {
        throw EngineError(
          code: .cacheUnusable,
          message: "it has \(size) bytes, beyond the cache's limit of \(most)")
      }
      guard unsafe rename(temporary, path) == 0 else {
        throw EngineError(code: .cacheUnusable, message: "cannot rename '\(temporary)'")
      }
    } catch {
      unsafe unlink(temporary)
      throw error
    }
    evict(keeping: path)
  }
}

/// Something that happens once, in all copies of a value.
private final class Flag: Sendable {
  private let isSet = Mutex(false)

  /// Sets it; false where it was set already.
  func set() -> Bool {
    isSet.withLock { isSet in
      defer { isSet = true }
      return !isSet
    }
  }
}
