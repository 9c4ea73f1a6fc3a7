internal import Foundation

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
        message: "pictures cannot be kept in '\(parent)': \(error.localizedDescription)")
    }
    Self.removeAbandoned(in: parent)
    let random = (0..<16).map { _ in String(Int.random(in: 0..<16), radix: 16) }.joined()
    let path = "\(parent)/streamflow-results-\(getpid())-\(random)"
    let unnamed = "\(path).new"
    guard unsafe mkdir(unnamed, 0o700) == 0 else { throw Self.failure("make", path) }
    let descriptor = unsafe open(unnamed, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
    guard descriptor >= 0 else {
      let error = Self.failure("open", path)
      unsafe rmdir(unnamed)
      throw error
    }
    // Where a file system has no locks nobody removes the folder but this process.
    _ = flock(descriptor, LOCK_EX | LOCK_NB)
    guard unsafe rename(unnamed, path) == 0 else {
      let error = Self.failure("name", path)
      close(descriptor)
      unsafe rmdir(unnamed)
      throw error
    }
    self.path = path
    self.descriptor = descriptor
  }

  deinit { Self.removeAll(path, descriptor) }

  /// Writes a file whole: under another name at first, which is gone where writing fails.
  ///
  /// - Parameters:
  ///   - bytes: the contents.
  ///   - name: the file's name.
  ///   - put: writes the bytes to a file; false with the reason in `errno`.
  func write(
    _ bytes: [UInt8], to name: String, with put: (Int32, [UInt8]) -> Bool = Self.put
  ) throws(ResultStoreError) {
    let temporary = ".\(name).writing"
    let flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC
    let file = unsafe openat(descriptor, temporary, flags, 0o600)
    guard file >= 0 else { throw Self.failure("write to", path) }
    let isWritten = put(file, bytes)
    let reason = errno
    // A full disk may say so only now.
    guard close(file) == 0, isWritten, unsafe renameat(descriptor, temporary, descriptor, name) == 0
    else {
      if !isWritten { errno = reason }
      let error = Self.failure("write \(bytes.count) bytes to", path)
      unsafe unlinkat(descriptor, temporary, 0)
      throw error
    }
  }

  /// The contents of a file; nil where there is none.
  func read(_ name: String) throws(ResultStoreError) -> [UInt8]? {
    let file = unsafe openat(descriptor, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)
    guard file >= 0 else {
      if errno == ENOENT { return nil }
      throw Self.failure("read '\(name)' in", path, code: .fileUnreadable)
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
        throw Self.failure("read '\(name)' in", path, code: .fileUnreadable)
      }
      guard count > 0 else { return bytes }
      bytes += part.prefix(count)
    }
  }

  /// Removes a file, where there is one.
  func remove(_ name: String) { unsafe unlinkat(descriptor, name, 0) }

  private static func failure(
    _ action: String, _ path: String, code: ResultStoreError.Code = .folderUnusable
  ) -> ResultStoreError {
    let isFull = errno == ENOSPC || errno == EDQUOT
    let remedy = isFull ? "; free some room, or keep pictures for a shorter time" : ""
    return ResultStoreError(
      code: isFull ? .diskFull : code,
      message: "cannot \(action) '\(path)': \(unsafe String(cString: strerror(errno)))\(remedy)")
  }

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
