internal import Foundation

/// Image files on disk.
enum ImageFile {
  /// Twice the bytes of the largest image that is decoded by default, at 16 bits per channel.
  private static let maximumSize = 1 << 30

  /// Reads a whole file, unless its first bytes show that it is not an image.
  static func bytes(at path: String) throws(MediaError) -> [UInt8] {
    func unreadable(_ reason: String) -> MediaError {
      MediaError(code: .fileUnreadable, message: "cannot read '\(path)': \(reason)")
    }
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else {
      throw errno == ENOENT
        ? MediaError(code: .fileUnreadable, message: "there is no file '\(path)'")
        : unreadable(SystemFailure.words)
    }
    defer { close(descriptor) }
    var (bytes, part) = ([UInt8](), [UInt8](repeating: 0, count: 1 << 20))
    while true {
      let count = unsafe read(
        descriptor, &part, bytes.isEmpty ? ImageFormat.startCount : part.count)
      guard count >= 0 else {
        if errno == EINTR { continue }
        throw unreadable(errno == EISDIR ? "it is a folder" : SystemFailure.words)
      }
      if bytes.isEmpty {
        do { _ = try ImageFormat(ofFileStarting: part.prefix(count)) } catch {
          throw error.reading(path)
        }
      }
      guard count > 0 else { return bytes }
      bytes.append(contentsOf: part.prefix(count))
      guard bytes.count <= maximumSize else {
        throw MediaError(
          code: .imageTooLarge,
          message: "cannot read '\(path)': it is larger than \(maximumSize) bytes")
      }
    }
  }
}

extension MediaError {
  /// The same error with the path of the file.
  func reading(_ path: String) -> MediaError {
    MediaError(code: code, message: "cannot read '\(path)': \(message)", cause: cause)
  }
}

/// The last failed system call.
package enum SystemFailure {
  /// The system's error message.
  package static var words: String { unsafe String(cString: strerror(errno)) }
}
