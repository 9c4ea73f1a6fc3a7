internal import Foundation

#if canImport(CDispatch)
  // Where GRDB is loaded too, the compiler takes Linux's `stat` to be a member of this module.
  internal import CDispatch
#endif

/// A folder that one store has to itself, removed when it goes out of scope.
///
/// Its lock says that the store lives, to other stores and to systemd's cleaning of `/tmp` alike; it
/// ends with the process, however that ends, and unlike a process number is never another's. The
/// folder gets its name when it is locked, so that nobody finds it before.
struct ResultFolder: ~Copyable {
  let path: String
  private let descriptor: Int32

  /// Makes a folder in another, after what dead processes left there is removed.
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
    // Where a file system has no locks nobody removes the folder but this process.
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

  /// Writes a file whole: under another name at first, which is gone where writing fails.
  ///
  /// - Parameters:
  ///   - bytes: the contents.
  ///   - name: the file's name.
  ///   - put: writes the bytes to a file; false with the reason in `errno`.
  func write(
    _ bytes: [UInt8], to name: String, with put: FolderFiles.Put = FolderFiles.put
  ) throws(ResultStoreError) { try files.place(bytes, as: name, with: put) }

  /// The contents of a file; nil where there is none.
  func read(_ name: String) throws(ResultStoreError) -> [UInt8]? { try files.read(name) }

  /// Removes a file, where there is one.
  func remove(_ name: String) { files.remove(name) }

  /// Removes the folders of stores that live no more.
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

  /// Removes a folder with the files in it, but no folders, and gives up its lock.
  private static func removeAll(_ path: String, _ descriptor: Int32) {
    for name in (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? [] {
      unsafe unlinkat(descriptor, name, 0)
    }
    unsafe rmdir(path)
    close(descriptor)
  }
}
