internal import Foundation

/// The folder of the server's state, locked by one process.
///
/// The lock is released with the process, however that ends. The number in the lock file is
/// informative: it is the id of the process that holds the lock.
final class StateFolder: Sendable {
  let path: String
  private let lock: Int32

  /// The path of the job database.
  var database: String { "\(path)/jobs.sqlite" }
  /// The path of the folder of images.
  var images: String { "\(path)/images" }

  /// Locks a folder; creates it if it does not exist, private to its owner.
  init(_ path: String) throws(StateError) {
    self.path = path
    do {
      for folder in [path, "\(path)/images"] {
        try FileManager.default.createDirectory(
          atPath: folder, withIntermediateDirectories: true,
          attributes: [.posixPermissions: 0o700])
      }
    } catch {
      throw Self.unusable(path, "cannot be created: \(error.localizedDescription)")
    }
    let name = "\(path)/lock"
    lock = unsafe open(name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0o600)
    guard lock >= 0 else {
      throw Self.unusable(path, "cannot be written: \(unsafe String(cString: strerror(errno)))")
    }
    guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
      let reason = errno
      let owner = Self.owner(name)
      close(lock)
      guard reason == EWOULDBLOCK else {
        throw Self.unusable(path, "cannot be locked: \(unsafe String(cString: strerror(reason)))")
      }
      throw StateError(
        code: .inUse,
        message: "the state folder '\(path)' is in use by \(owner); stop that server, or choose "
          + "another folder")
    }
    // Informative only: the lock is held even if the disk is full.
    _ = ftruncate(lock, 0)
    _ = FolderFiles.put(lock, Array("\(getpid())\n".utf8))
  }

  deinit { close(lock) }

  private static func owner(_ name: String) -> String {
    let text = (try? String(contentsOfFile: name, encoding: .utf8)) ?? ""
    return Int(text.prefix { !$0.isNewline }).map { "process \($0)" } ?? "another process"
  }

  private static func unusable(_ path: String, _ reason: String) -> StateError {
    StateError(
      code: .folderUnusable,
      message: "the state folder '\(path)' \(reason); choose a writable folder")
  }
}
