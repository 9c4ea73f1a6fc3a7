internal import FlowImage
internal import Foundation

/// Reads a file descriptor without blocking a task's thread for long, so that reading can be
/// cancelled while no data arrives.
struct PipeInput: Sendable {
  private let descriptor: Int32
  private static let queue = DispatchQueue(label: "streamflow.pipe-input", attributes: .concurrent)

  init(_ descriptor: Int32) { self.descriptor = descriptor }

  /// Opens a named pipe, such as a shell's `<(command)`; nil for any other file.
  init?(namedPipeAt path: String) {
    var status = stat()
    guard unsafe stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFIFO else { return nil }
    descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
  }

  func close() { Foundation.close(descriptor) }

  /// The next bytes; empty at the end of the input, nil if none arrived until a deadline.
  func read(until deadline: ContinuousClock.Instant?) async throws -> [UInt8]? {
    while true {
      try Task.checkCancellation()
      switch await poll() {
      case .bytes(let bytes): return bytes
      case .failure(let number):
        throw MediaError(
          code: .videoUnreadable,
          message: "cannot read standard input: \(unsafe String(cString: strerror(number)))")
      case .nothing: if let deadline, ContinuousClock.now > deadline { return nil }
      }
    }
  }

  private enum Result: Sendable {
    case bytes([UInt8])
    case nothing
    case failure(Int32)
  }

  /// Waits up to 50 ms for bytes, on a thread that may block.
  private func poll() async -> Result {
    await withCheckedContinuation { continuation in
      Self.queue.async { continuation.resume(returning: self.pollNow()) }
    }
  }

  private func pollNow() -> Result {
    var request = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    let ready = unsafe Foundation.poll(&request, 1, 50)
    guard ready != 0 else { return .nothing }
    guard ready > 0 else { return errno == EINTR ? .nothing : .failure(errno) }
    var part = [UInt8](repeating: 0, count: 1 << 16)
    let count = unsafe Foundation.read(descriptor, &part, part.count)
    guard count >= 0 else {
      return errno == EINTR || errno == EAGAIN ? .nothing : .failure(errno)
    }
    return .bytes(Array(part.prefix(count)))
  }

  /// The path of a file that is redirected to a descriptor and positioned at its beginning.
  static func regularFile(at descriptor: Int32) -> String? {
    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG,
      lseek(descriptor, 0, SEEK_CUR) == 0
    else { return nil }
    #if os(Linux)
      let path = try? FileManager.default.destinationOfSymbolicLink(
        atPath: "/proc/self/fd/\(descriptor)")
    #else
      var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
      let isKnown = unsafe fcntl(descriptor, F_GETPATH, &buffer) == 0
      let path = isKnown ? unsafe String(cString: buffer) : nil
    #endif
    guard let path else { return nil }
    // The file may have been deleted or replaced in the meantime.
    var named = stat()
    guard unsafe stat(path, &named) == 0, named.st_ino == status.st_ino,
      named.st_dev == status.st_dev
    else { return nil }
    return path
  }
}
