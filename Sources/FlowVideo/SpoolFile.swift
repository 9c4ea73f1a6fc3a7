internal import FlowImage
internal import Foundation

/// A private temporary file that stores incoming bytes.
struct SpoolFile: Sendable {
  let path: String
  private let descriptor: Int32

  init() throws(MediaError) {
    let folder = FileManager.default.temporaryDirectory.path
    path = "\(folder)/streamflow-\(UInt64.random(in: 0 ... .max)).input"
    descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw Self.failure(path) }
  }

  func append(_ bytes: [UInt8]) throws(MediaError) {
    guard AtomicFile.writeAll(bytes, to: descriptor) else { throw Self.failure(path) }
  }

  /// Closes and deletes the file.
  func remove() {
    close(descriptor)
    unsafe unlink(path)
  }

  private static func failure(_ path: String) -> MediaError {
    MediaError(
      code: errno == ENOSPC || errno == EDQUOT ? .diskFull : .fileUnwritable,
      message: """
        cannot write '\(path)', where standard input is stored: \(SystemFailure.words); TMPDIR \
        names another folder
        """)
  }
}
