public import Foundation

extension EngineCache {
  /// An entry of the cache.
  public struct Entry: Sendable {
    /// The graph's name.
    public let name: String
    /// The file.
    public let path: String
    /// Its length in bytes.
    public let byteCount: Int
    /// When it was last used.
    public let date: Date
    /// Whether it is an engine, and not a measurement or a leftover of an interrupted write.
    let isEngine: Bool
  }

  /// The entries, largest first.
  ///
  /// - Throws: `cacheUnusable` where the folder cannot be listed.
  public func entries() throws(EngineError) -> [Entry] {
    guard FileManager.default.fileExists(atPath: folder) else { return [] }
    let names: [String]
    do { names = try FileManager.default.contentsOfDirectory(atPath: folder) } catch {
      throw EngineError(
        code: .cacheUnusable, message: "cannot list '\(folder)': \(error.localizedDescription)")
    }
    let isOurs = { (name: String) in
      name.hasSuffix(Self.suffix) || name.contains(Self.unfinished)
        || name.hasSuffix(Self.measured)
    }
    return names.filter(isOurs)
      .compactMap { name in
        let path = "\(folder)/\(name)"
        guard let attributes = try? FileManager.default.attributesOfItem(atPath: path) else {
          return nil
        }
        return Entry(
          name: name.split(separator: "-").first.map(String.init) ?? name, path: path,
          byteCount: (attributes[.size] as? NSNumber)?.intValue ?? 0,
          date: (attributes[.modificationDate] as? Date) ?? .distantPast,
          isEngine: name.hasSuffix(Self.suffix))
      }
      .sorted { ($0.byteCount, $1.path) > ($1.byteCount, $0.path) }
  }

  /// The maximum total size of the engines in bytes; nil without a limit.
  public func limitByteCount() throws(EngineError) -> Int? {
    limit.byteCount(
      inFolder: folder, usedByteCount: try entries().reduce(0) { $0 + $1.byteCount })
  }

  /// Removes every entry, including leftovers of interrupted writes.
  public func clear() throws(EngineError) { try remove(entries()) }

  /// Removes entries; engines in use stay usable.
  ///
  /// - Throws: `cacheUnusable` for a file that cannot be removed.
  public func remove(_ entries: [Entry]) throws(EngineError) {
    for entry in entries {
      let status = unsafe unlink(entry.path)
      guard status != 0, errno != ENOENT else { continue }
      throw EngineError(
        code: .cacheUnusable,
        message: "cannot remove '\(entry.path)': \(unsafe String(cString: strerror(errno)))")
    }
  }

  /// Whether an engine was compiled from weights, given by their identities
  /// (`WeightStore.identity`).
  ///
  /// Returns false for other files and for damaged engines.
  public func isEntry(_ entry: Entry, compiledFrom identities: Set<String>) -> Bool {
    guard entry.isEngine, let file = try? EngineFile(reading: entry.path),
      let key = file.key
    else { return false }
    // The graph follows the last identity on its line.
    return key.split(separator: UInt8(ascii: "\n")).contains { line in
      identities.contains { line.starts(with: $0.utf8) }
    }
  }

  // MARK: - Eviction

  /// Removes the least recently used engines until the rest fits the limit.
  ///
  /// Engines that a process has mapped stay, and so does the given one. Only one process evicts at
  /// a time.
  ///
  /// - Parameter kept: the path of an engine that must stay.
  func evict(keeping kept: String) {
    guard limit != .unlimited, let entries = try? entries() else { return }
    var total = entries.reduce(0) { $0 + $1.byteCount }
    guard let most = limit.byteCount(inFolder: folder, usedByteCount: total), total > most else {
      return
    }
    let lock = unsafe open(folder, O_RDONLY | O_CLOEXEC)
    guard lock >= 0 else { return }
    defer { close(lock) }
    guard flock(lock, LOCK_EX | LOCK_NB) == 0 else { return }
    for entry in entries.sorted(by: { $0.date < $1.date })
    where total > most && entry.isEngine && entry.path != kept {
      if EngineFile.removeIfUnused(entry.path) { total -= entry.byteCount }
    }
  }
}
