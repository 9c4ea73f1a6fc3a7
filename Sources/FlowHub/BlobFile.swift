internal import Foundation
internal import Synchronization

/// An incomplete blob: a growing file, and the digest of its contents.
final class BlobFile: Sendable {
  private struct State {
    var byteCount = 0
    var hash: BlobHash
  }

  private let path: String
  private let descriptor: Int32
  private let expected: HubFile
  private let state: Mutex<State>
  private let report: @Sendable (HubPull.Event) -> Void

  /// Opens the file, and hashes what an earlier attempt left in it.
  ///
  /// - Parameters:
  ///   - path: the file.
  ///   - expected: the complete file.
  ///   - report: receives events.
  init(
    path: String, expected: HubFile, report: @escaping @Sendable (HubPull.Event) -> Void
  ) throws {
    self.path = path
    self.expected = expected
    self.report = report
    descriptor = unsafe open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o666)
    state = Mutex(
      State(hash: try BlobHash(like: expected.digest, byteCount: expected.byteCount)))
    guard descriptor >= 0 else { throw HubError.system("cannot write '\(path)'") }
    var buffer = Data(count: 1 << 20)
    while true {
      try Task.checkCancellation()
      let count = unsafe buffer.withUnsafeMutableBytes { buffer in
        unsafe read(descriptor, buffer.baseAddress, buffer.count)
      }
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw HubError.system("cannot read '\(path)'") }
      guard count > 0 else { break }
      state.withLock { state in
        state.byteCount += count
        state.hash.update(buffer.prefix(count))
      }
      report(.found(byteCount: count))
    }
    // Longer than the expected file: discard.
    if byteCount > expected.byteCount { try restart() }
  }

  deinit { if descriptor >= 0 { close(descriptor) } }

  /// The current length in bytes.
  var byteCount: Int { state.withLock { $0.byteCount } }

  /// Appends bytes.
  func append(_ data: Data) throws {
    let wouldBe = byteCount + data.count
    guard wouldBe <= expected.byteCount else {
      throw Mismatch(problem: "is longer than \(expected.byteCount) bytes")
    }
    var written = 0
    while written < data.count {
      let count = unsafe data.withUnsafeBytes { buffer in
        unsafe write(descriptor, buffer.baseAddress?.advanced(by: written), data.count - written)
      }
      guard count > 0 || errno == EINTR else { throw HubError.system("cannot write '\(path)'") }
      written += max(count, 0)
    }
    state.withLock { state in
      state.byteCount += data.count
      state.hash.update(data)
    }
    report(.received(byteCount: data.count))
  }

  /// Empties the file.
  func restart() throws {
    guard ftruncate(descriptor, 0) == 0, lseek(descriptor, 0, SEEK_SET) == 0 else {
      throw HubError.system("cannot empty '\(path)'")
    }
    let empty = State(hash: try BlobHash(like: expected.digest, byteCount: expected.byteCount))
    let dropped = state.withLock { state in
      defer { state = empty }
      return state.byteCount
    }
    report(.received(byteCount: -dropped))
  }

  /// Removes the file.
  func remove() { unsafe unlink(path) }

  /// Verifies the contents and moves the file to its final name.
  func finish(as place: String) throws {
    let (count, digits) = state.withLock { ($0.byteCount, $0.hash.digits) }
    guard count == expected.byteCount else {
      throw Mismatch(problem: "is \(count) bytes long, expected \(expected.byteCount)")
    }
    guard digits == expected.digest.name else {
      throw Mismatch(problem: "has hash \(digits), expected \(expected.digest.name)")
    }
    // The name guarantees complete contents, so they must be on disk first.
    guard fsync(descriptor) == 0, unsafe rename(path, place) == 0 else {
      throw HubError.system("cannot write '\(place)'")
    }
  }
}
