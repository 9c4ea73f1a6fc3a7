internal import Foundation

/// Reads and writes whole files in a folder that is held open.
///
/// Names are resolved in the folder itself, whatever its path leads to meanwhile, and links are not
/// followed.
struct FolderFiles: Sendable {
  /// Writes bytes to a file descriptor; false with the reason in `errno`.
  typealias Put = @Sendable (Int32, [UInt8]) -> Bool

  let path: String
  let descriptor: Int32
  /// Whether a file and its name are on the disk, not only in the system's cache, when it is placed.
  var isSynced = false

  /// The name of a file that is being written.
  static func partialName(of name: String) -> String { ".\(name).writing" }

  /// Places a file whole: it is written under another name, and removed where that fails.
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
    // A full disk may be reported only now.
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

  /// The contents of a file; nil where there is none.
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

  /// Removes a file, where there is one.
  func remove(_ name: String) { unsafe unlinkat(descriptor, name, 0) }

  /// Writes all bytes to a file descriptor; false with the reason in `errno`.
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
  /// The failure that `errno` names.
  static func failure(_ action: String, _ path: String, code: Code = .folderUnusable) -> Self {
    let isFull = errno == ENOSPC || errno == EDQUOT || errno == EFBIG
    let remedy = isFull ? "; free some room, or keep images for a shorter time" : ""
    return ResultStoreError(
      code: isFull ? .diskFull : code,
      message: "cannot \(action) '\(path)': \(unsafe String(cString: strerror(errno)))\(remedy)")
  }
}
