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
    let (temporary, descriptor) = try create(for: path)
    defer { unsafe unlink(temporary) }
    guard writeAll(bytes, to: descriptor) else {
      let error = failure(path)
      close(descriptor)
      throw error
    }
    // A full disk or a lost server may say so only now.
    guard close(descriptor) == 0 else { throw failure(path) }
    return try place(temporary, at: path, overwriting: overwriting)
  }

  /// Makes an empty file under a temporary name beside its place, open for writing.
  static func create(
    for path: String
  ) throws(MediaError) -> (temporary: String, descriptor: Int32) {
    let temporary = "\(path).writing-\(UInt64.random(in: 0 ... .max))"
    let descriptor = unsafe open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o666)
    guard descriptor >= 0 else { throw failure(path) }
    return (temporary, descriptor)
  }

  /// Gives a file that is whole its name.
  ///
  /// - Returns: false where a file is there and is not to be replaced.
  static func place(
    _ temporary: String, at path: String, overwriting: Bool
  ) throws(MediaError) -> Bool {
    guard !overwriting else {
      guard unsafe rename(temporary, path) == 0 else { throw failure(path) }
      return true
    }
    if unsafe link(temporary, path) == 0 {
      unsafe unlink(temporary)
      return true
    }
    switch errno {
    case EEXIST: return false
    case EPERM, ENOTSUP, ENOSYS, EMLINK:
      // A file system without hard links: look, then rename.
      guard unsafe access(path, F_OK) != 0 else { return false }
      guard unsafe rename(temporary, path) == 0 else { throw failure(path) }
      return true
    default: throw failure(path)
    }
  }

  private static func failure(_ path: String) -> MediaError {
    MediaError(
      code: errno == ENOSPC || errno == EDQUOT ? .diskFull : .fileUnwritable,
      message: "cannot write '\(path)': \(SystemFailure.words)")
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
