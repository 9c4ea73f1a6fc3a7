internal import Foundation

/// Files that appear whole under their name, or not at all.
public enum AtomicFile {
  /// Writes a file under a temporary name beside its place and renames it.
  ///
  /// - Parameters:
  ///   - bytes: the contents.
  ///   - path: the place; its folder must be there.
  ///   - overwriting: whether a file that is there is replaced.
  /// - Returns: false where a file is there and is not to be replaced.
  public static func write(
    _ bytes: [UInt8], to path: String, overwriting: Bool
  ) throws(MediaError) -> Bool {
    let temporary = "\(path).writing-\(UInt64.random(in: 0 ... .max))"
    func failure() -> MediaError {
      MediaError(
        code: .fileUnwritable,
        message: "cannot write '\(path)': \(SystemFailure.words)")
    }
    let descriptor = unsafe open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o666)
    guard descriptor >= 0 else { throw failure() }
    defer { unsafe unlink(temporary) }
    guard writeAll(bytes, to: descriptor) else {
      let error = failure()
      close(descriptor)
      throw error
    }
    // A full disk or a lost server may say so only now.
    guard close(descriptor) == 0 else { throw failure() }
    guard !overwriting else {
      guard unsafe rename(temporary, path) == 0 else { throw failure() }
      return true
    }
    if unsafe link(temporary, path) == 0 { return true }
    switch errno {
    case EEXIST: return false
    case EPERM, ENOTSUP, ENOSYS, EMLINK:
      // A file system without hard links: look, then rename.
      guard unsafe access(path, F_OK) != 0 else { return false }
      guard unsafe rename(temporary, path) == 0 else { throw failure() }
      return true
    default: throw failure()
    }
  }

  /// Writes every byte; false with the reason in `errno` where the system takes no more.
  static func writeAll(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
    var written = 0
    while written < bytes.count {
      let count = unsafe bytes.withUnsafeBytes { buffer in
        unsafe Foundation.write(
          descriptor, buffer.baseAddress?.advanced(by: written), bytes.count - written)
      }
      guard count > 0 || errno == EINTR else { return false }
      written += max(count, 0)
    }
    return true
  }
}
