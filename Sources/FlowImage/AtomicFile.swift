internal import Foundation

/// Writes files atomically: a file is complete under its name, or does not exist.
public enum AtomicFile {
  /// Writes a temporary file in the same folder and renames it.
  ///
  /// - Parameters:
  ///   - bytes: the contents.
  ///   - path: the file; its folder must exist.
  ///   - overwriting: whether to replace an existing file.
  /// - Returns: false if the file exists and must not be replaced.
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
    // Errors of a full disk or a lost server may be reported only here.
    guard close(descriptor) == 0 else { throw failure(path) }
    return try place(temporary, at: path, overwriting: overwriting)
  }

  /// Creates an empty temporary file in the same folder, open for writing.
  package static func create(
    for path: String
  ) throws(MediaError) -> (temporary: String, descriptor: Int32) {
    let temporary = "\(path).writing-\(UInt64.random(in: 0 ... .max))"
    let descriptor = unsafe open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o666)
    guard descriptor >= 0 else { throw failure(path) }
    return (temporary, descriptor)
  }

  /// Renames a complete file to its final name.
  ///
  /// - Returns: false if the file exists and must not be replaced.
  package static func place(
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
    case EPERM, ENOTSUP, EOPNOTSUPP, ENOSYS, EMLINK:
      // For file systems without hard links: check, then rename.
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

  /// Writes all bytes; returns false and sets `errno` on failure.
  package static func writeAll(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
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
