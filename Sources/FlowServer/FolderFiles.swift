internal import Foundation

/// Reads and writes whole files in an open folder.
///
/// Names are resolved in the folder itself, even if its path changes, and links are not followed.
struct FolderFiles: Sendable {
  /// Writes bytes to a file descriptor; returns false and sets `errno` on failure.
  typealias Put = @Sendable (Int32, [UInt8]) -> Bool

  let path: String
  let descriptor: Int32
  /// Whether a file and its name are flushed to disk when it is stored.
  var isSynced = false

  /// The name of a file while it is written.
  static func partialName(of name: String) -> String { ".\(name).writing" }

  /// Stores a file atomically: it is written under a temporary name, and removed on failure.
  func place(
    _ bytes: [UInt8], as name: String, with put: Put = FolderFiles.put
  ) throws(ResultStoreError) {
    let temporary = Self.partialName(of: name)
    let flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC
    let file = unsafe openat(descriptor, temporary, flags, 0o600)
    guard file >= 0 else { throw ResultStoreError.failure("write to", path) }
    var isWritten = put(file, bytes)
    if isWritten, isSynced { isWritten = fsync(file) == 0 }
    let reason = errno
    // A full disk may be reported only here.
    guard close(file) == 0, isWritten, unsafe renameat(descriptor, temporary, descriptor, name) == 0
    else {
      if !isWritten { errno = reason }
      let error = ResultStoreError.failure("write \(bytes.count) bytes to", path)
      unsafe unlinkat(descriptor, temporary, 0)
      throw error
    }
    guard !isSynced || fsync(descriptor) == 0 else {
      let error = ResultStoreError.failure("write to", path)
      remove(name)
      throw error
    }
  }

  /// The contents of a file; nil if it does not exist.
  func read(_ name: String) throws(ResultStoreError) -> [UInt8]? {
    let file = unsafe openat(descriptor, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)
    guard file >= 0 else {
      if errno == ENOENT { return nil }
      throw .failure("read '\(name)' in", path, code: .fileUnreadable)
    }
    defer { close(file) }
    var bytes: [UInt8] = []
    var part = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = unsafe part.withUnsafeMutableBytes { buffer in
        unsafe Foundation.read(file, buffer.baseAddress, buffer.count)
      }
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else {
        throw .failure("read '\(name)' in", path, code: .fileUnreadable)
      }
      guard count > 0 else { return bytes }
      bytes += part.prefix(count)
    }
  }

  /// Removes a file if it exists.
  func remove(_ name: String) { unsafe unlinkat(descriptor, name, 0) }

  /// Writes all bytes to a file descriptor; returns false and sets `errno` on failure.
  static func put(_ file: Int32, _ bytes: [UInt8]) -> Bool {
    var written = 0
    while written < bytes.count {
      let count = unsafe bytes.withUnsafeBytes { buffer in
        unsafe Foundation.write(
          file, buffer.baseAddress?.advanced(by: written), bytes.count - written)
      }
      guard count > 0 || count < 0 && errno == EINTR else { return false }
      written += max(count, 0)
    }
    return true
  }
}

extension ResultStoreError {
  /// The failure of `errno`.
  static func failure(_ action: String, _ path: String, code: Code = .folderUnusable) -> Self {
    let isFull = errno == ENOSPC || errno == EDQUOT || errno == EFBIG
    let remedy = isFull ? "; free some space, or shorten the retention of images" : ""
    return ResultStoreError(
      code: isFull ? .diskFull : code,
      message: "cannot \(action) '\(path)': \(unsafe String(cString: strerror(errno)))\(remedy)")
  }
}
