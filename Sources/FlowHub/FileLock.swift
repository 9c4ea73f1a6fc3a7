internal import Foundation

/// A file lock that is released when its holder or the process ends.
struct FileLock: ~Copyable {
  private let descriptor: Int32

  /// Takes the lock, or returns nil if it is held.
  init?(path: String) throws(HubError) {
    while true {
      let descriptor = unsafe open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o666)
      guard descriptor >= 0 else { throw .system("cannot open the lock '\(path)'") }
      guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
        let reason = errno
        close(descriptor)
        guard reason == EWOULDBLOCK || reason == EINTR else {
          throw HubError(
            .cacheUnwritable,
            "cannot lock '\(path)': \(unsafe String(cString: strerror(reason))); HF_HUB_CACHE may "
              + "name a folder on a file system with locks")
        }
        return nil
      }
      // The previous holder may have removed the file, which would make this lock useless.
      var (held, named) = (stat(), stat())
      if unsafe fstat(descriptor, &held) == 0, unsafe stat(path, &named) == 0,
        held.st_ino == named.st_ino, held.st_dev == named.st_dev
      {
        self.descriptor = descriptor
        return
      }
      close(descriptor)
    }
  }

  deinit { close(descriptor) }

  /// Takes the lock, and waits for its holder if necessary.
  static func acquire(
    _ path: String, onWait: () -> Void
  ) async throws -> FileLock {
    if let lock = try FileLock(path: path) { return lock }
    onWait()
    while true {
      try await Task.sleep(for: .milliseconds(100))
      if let lock = try FileLock(path: path) { return lock }
    }
  }
}

extension HubError {
  /// A failed system call, with its reason.
  static func system(_ action: String) -> HubError {
    HubError(
      errno == ENOSPC || errno == EDQUOT ? .diskFull : .cacheUnwritable,
      "\(action): \(unsafe String(cString: strerror(errno)))")
  }
}
