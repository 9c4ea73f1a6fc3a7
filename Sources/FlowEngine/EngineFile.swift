internal import FlowGraph
internal import Foundation

/// An engine on disk: the engine, its key, and a trailer of four little-endian words.
///
/// The trailer is the key's length, the engine's length, the hash of the engine and key, and a
/// marker.
@safe
public final class EngineFile: Sendable {
  private static let marker: UInt64 = 0x3245_4e49_474e_4553  // "SENGINE2"
  private static let trailerLength = 32

  private let path: String
  // Written once, before the object is shared; the mapping is read-only.
  private nonisolated(unsafe) let memory: UnsafeRawBufferPointer
  /// Open while the file is mapped: it holds the shared lock that prevents eviction.
  private let descriptor: Int32

  init(reading path: String) throws(EngineError) {
    self.path = path
    descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else {
      throw EngineError(code: .cacheUnusable, message: "cannot open '\(path)'")
    }
    // Without file locks, nothing is evicted either.
    _ = flock(descriptor, LOCK_SH)
    let length = Int(lseek(descriptor, 0, SEEK_END))
    guard length >= Self.trailerLength,
      let mapped = unsafe mmap(nil, length, PROT_READ, MAP_PRIVATE, descriptor, 0),
      unsafe mapped != MAP_FAILED
    else {
      close(descriptor)
      throw EngineError(code: .cacheUnusable, message: "'\(path)' is truncated")
    }
    unsafe memory = UnsafeRawBufferPointer(start: mapped, count: length)
  }

  deinit {
    unsafe munmap(UnsafeMutableRawPointer(mutating: memory.baseAddress), memory.count)
    close(descriptor)
  }

  /// Sets the modification time to now.
  ///
  /// Eviction removes the engines with the oldest times first.
  func noteUse() { futimens(descriptor, nil) }

  /// Removes a file unless a process has mapped it; returns false if it stays.
  static func removeIfUnused(_ path: String) -> Bool {
    // Some file systems grant write locks only on files that are open for writing.
    var descriptor = unsafe open(path, O_RDWR | O_CLOEXEC)
    if descriptor < 0 { descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC) }
    guard descriptor >= 0 else { return false }
    defer { close(descriptor) }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else { return false }
    return unsafe unlink(path) == 0
  }

  /// The length of a file in bytes.
  static func byteCount(of path: String) -> Int? {
    var status = stat()
    return unsafe stat(path, &status) == 0 ? Int(status.st_size) : nil
  }

  /// The key of the file; nil if its trailer is damaged.
  var key: [UInt8]? {
    let trailer = unsafe memory.count - Self.trailerLength
    let word = { (index: Int) in
      UInt64(
        littleEndian: unsafe self.memory.loadUnaligned(
          fromByteOffset: trailer + 8 * index, as: UInt64.self))
    }
    guard word(3) == Self.marker, word(0) <= UInt64(trailer),
      word(1) == UInt64(trailer) - word(0)
    else { return nil }
    return unsafe Array(memory[Int(word(1))..<trailer])
  }

  /// Whether the file contains an undamaged engine with exactly this key.
  func isSound(for key: [UInt8]) throws(EngineError) -> Bool {
    let trailer = unsafe memory.count - Self.trailerLength
    let words = (0..<4).map { index in
      UInt64(
        littleEndian: unsafe memory.loadUnaligned(
          fromByteOffset: trailer + 8 * index, as: UInt64.self))
    }
    guard words[3] == Self.marker, words[0] == UInt64(key.count), key.count <= trailer,
      words[1] == UInt64(trailer - key.count)
    else { return false }
    let isOfKey = unsafe key.withUnsafeBytes { key in
      guard let bytes = key.baseAddress, let start = unsafe memory.baseAddress else {
        return true
      }
      return unsafe memcmp(start + trailer - key.count, bytes, key.count) == 0
    }
    guard isOfKey else { return false }
    return hash(byteCount: trailer) == words[2]
  }

  /// Releases the memory of pages that were read; pages that are read again are fetched again.
  public func releasePages() {
    unsafe madvise(
      UnsafeMutableRawPointer(mutating: memory.baseAddress), memory.count, MADV_DONTNEED)
  }

  /// The engine's bytes, valid as long as this object.
  ///
  /// - Precondition: the file is sound.
  @unsafe public var engine: UnsafeRawBufferPointer {
    let trailer = unsafe memory.count - Self.trailerLength
    let keyLength = Int(
      UInt64(littleEndian: unsafe memory.loadUnaligned(fromByteOffset: trailer, as: UInt64.self)))
    return unsafe UnsafeRawBufferPointer(rebasing: memory[..<(trailer - keyLength)])
  }

  /// Appends the key and the trailer to an exported engine.
  ///
  /// The file is not flushed to disk: flushing gigabytes would take longer than compiling. An
  /// engine that a power failure damaged is detected by its hash and compiled again.
  static func complete(_ path: String, key: [UInt8]) throws(EngineError) {
    func failure(_ action: String) -> EngineError {
      EngineError(
        code: .cacheUnusable,
        message: "cannot \(action) '\(path)': \(unsafe String(cString: strerror(errno)))")
    }
    guard let handle = FileHandle(forUpdatingAtPath: path) else { throw failure("open") }
    defer { try? handle.close() }
    do {
      let length = try handle.seekToEnd()
      try handle.write(contentsOf: Data(key))
      let file = try EngineFile(reading: path)
      let hash = unsafe file.hash(byteCount: file.memory.count)
      let words = [UInt64(key.count), length, hash, marker]
      try handle.write(
        contentsOf: Data(
          words.flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> ($0 * 8)) } }))
    } catch { throw failure("write") }
  }

  /// The hash of the windows' hashes.
  ///
  /// Each window's pages are released after reading, so that hashing an engine of gigabytes does
  /// not fill the memory.
  private func hash(byteCount: Int) -> UInt64 {
    let window = 64 << 20
    var hashes: [UInt8] = []
    for start in stride(from: 0, to: byteCount, by: window) {
      let end = min(start + window, byteCount)
      let part = unsafe UnsafeRawBufferPointer(rebasing: memory[start..<end])
      let value = unsafe ContentHash.of(RawSpan(_unsafeBytes: part)).value
      hashes += (0..<8).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }
      unsafe madvise(
        UnsafeMutableRawPointer(mutating: part.baseAddress), part.count, MADV_DONTNEED)
    }
    return ContentHash.of(hashes).value
  }
}
