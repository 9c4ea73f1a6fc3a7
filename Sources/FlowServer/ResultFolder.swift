internal import Foundation

#if canImport(CDispatch)
  // With GRDB loaded, the compiler takes Linux's `stat` for a member of this module.
  internal import CDispatch
#endif

/// A private folder of one store, removed when it goes out of scope.
///
/// Its lock marks the store as alive, for other stores and for systemd's cleaning of `/tmp`. The
/// lock is released with the process, however that ends, and unlike a process id it is never
/// reused. The folder is renamed to its final name after it is locked, so that it is never visible
/// unlocked.
struct ResultFolder: ~Copyable {
  let path: String
  private let descriptor: Int32

  /// Creates a folder in another, after removing leftovers of dead processes.
  init(in parent: String) throws(ResultStoreError) {
    do {
      try FileManager.default.createDirectory(atPath: parent, withIntermediateDirectories: true)
    } catch {
      throw ResultStoreError(
        code: .folderUnusable,
        message: "images cannot be kept in '\(parent)': \(error.localizedDescription)")
    }
    Self.removeAbandoned(in: parent)
    let random = (0..<16).map { _ in String(Int.random(in: 0..<16), radix: 16) }.joined()
    let path = "\(parent)/streamflow-results-\(getpid())-\(random)"
    let unnamed = "\(path).new"
    guard unsafe mkdir(unnamed, 0o700) == 0 else { throw .failure("make", path) }
    let descriptor = unsafe open(unnamed, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
    guard descriptor >= 0 else {
      let error = ResultStoreError.failure("open", path)
      unsafe rmdir(unnamed)
      throw error
    }
    // On file systems without locks, only this process removes the folder.
    _ = flock(descriptor, LOCK_EX | LOCK_NB)
    guard unsafe rename(unnamed, path) == 0 else {
      let error = ResultStoreError.failure("name", path)
      close(descriptor)
      unsafe rmdir(unnamed)
      throw error
    }
    self.path = path
    self.descriptor = descriptor
  }

  deinit { Self.removeAll(path, descriptor) }

  private var files: FolderFiles { FolderFiles(path: path, descriptor: descriptor) }

  /// Writes a file atomically: under a temporary name, which is removed on failure.
  ///
  /// - Parameters:
  ///   - bytes: the contents.
  ///   - name: the file's name.
  ///   - put: writes the bytes to a file; returns false and sets `errno` on failure.
  func write(
    _ bytes: [UInt8], to name: String, with put: FolderFiles.Put = FolderFiles.put
  ) throws(ResultStoreError) { try files.place(bytes, as: name, with: put) }

  /// The contents of a file; nil if it does not exist.
  func read(_ name: String) throws(ResultStoreError) -> [UInt8]? { try files.read(name) }

  /// Removes a file if it exists.
  func remove(_ name: String) { files.remove(name) }

  /// Removes the folders of stores whose process has ended.
  private static func removeAbandoned(in parent: String) {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: parent)) ?? []
    for name in names where name.wholeMatch(of: /streamflow-results-[0-9]+-[0-9a-f]{16}/) != nil {
      let path = "\(parent)/\(name)"
      let descriptor = unsafe open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
      guard descriptor >= 0 else { continue }
      var information = stat()
      guard unsafe fstat(descriptor, &information) == 0, information.st_uid == geteuid(),
        flock(descriptor, LOCK_EX | LOCK_NB) == 0
      else {
        close(descriptor)
        continue
      }
      removeAll(path, descriptor)
    }
  }

  /// Removes a folder with its files, but without subfolders, and releases its lock.
  private static func removeAll(_ path: String, _ descriptor: Int32) {
    for name in (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? [] {
      unsafe unlinkat(descriptor, name, 0)
    }
    unsafe rmdir(path)
    close(descriptor)
  }
}
