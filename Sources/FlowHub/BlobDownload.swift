internal import Foundation
internal import StreamFlow

/// Downloads one blob into the cache: continues an earlier attempt, and verifies the result.
struct BlobDownload: Sendable {
  let client: HubClient
  let commit: String
  let file: HubFile
  let repository: CacheRepository
  let retry: RetryPolicy
  /// Receives events.
  let report: @Sendable (HubPull.Event) -> Void

  /// Returns the number of bytes received from the network.
  func callAsFunction() async throws -> Int {
    let lock = try await FileLock.acquire(repository.lockPath(of: file.digest)) {
      report(.waiting(path: file.path))
    }
    defer { withExtendedLifetime(lock) {} }
    guard !repository.holds(file) else {
      report(.found(byteCount: file.byteCount))
      return 0
    }
    let blob = try BlobFile(
      path: repository.incompletePath(of: file.digest), expected: file, report: report)
    let before = blob.byteCount
    do { try await complete(blob) } catch let mismatch as Mismatch {
      // Damaged in transfer, or by an earlier attempt: start once more from the beginning.
      retry.report("'\(file.path)' \(mismatch.problem)", .zero)
      try blob.restart()
      do { try await complete(blob) } catch let mismatch as Mismatch {
        blob.remove()
        throw HubError(
          .contentMismatch,
          "'\(file.path)' of '\(client.model)' \(mismatch.problem), twice; nothing was stored: check "
            + "HF_ENDPOINT and the network's proxies")
      }
      return file.byteCount
    }
    return file.byteCount - before
  }

  private func complete(_ blob: BlobFile) async throws {
    try await retry("the download of '\(file.path)'", progress: { blob.byteCount }) {
      if blob.byteCount < file.byteCount || file.byteCount == 0 { try await fetch(blob) }
    }
    try blob.finish(as: repository.blobPath(of: file.digest))
  }

  private func fetch(_ blob: BlobFile) async throws {
    let start = blob.byteCount
    let head = try await client.send(
      to: client.address(of: file.path, at: commit), from: start > 0 ? start : nil,
      receiver: BlobReceiver(blob: blob, start: start, expected: file)
    ) { head in
      try check(head)
      return false
    }
    guard head.isSuccess else {
      // The server has no such range, so the bytes on disk are not the file's beginning.
      if head.status == 416, start > 0 {
        try blob.restart()
        throw TransientFailure(reason: "the hub has no bytes from offset \(start)")
      }
      throw client.failure(head, of: file.path)
    }
    guard blob.byteCount == file.byteCount else {
      throw TransientFailure(
        reason: "it ended after \(blob.byteCount) of \(file.byteCount) bytes")
    }
  }

  /// Compares the response with the hub's file list.
  private func check(_ head: ResponseHead) throws {
    if let digest = BlobDigest(head["X-Linked-Etag"]), digest != file.digest {
      throw Mismatch(problem: "has hash \(digest.name), expected \(file.digest.name)")
    }
    if let size = head["X-Linked-Size"].flatMap(Int.init), size != file.byteCount {
      throw Mismatch(problem: "is \(size) bytes long, expected \(file.byteCount)")
    }
    if let other = head["X-Repo-Commit"], other.lowercased() != commit {
      throw HubError(
        .answerInvalid,
        "the hub answers with commit '\(other)' where '\(commit)' was asked for; check HF_ENDPOINT")
    }
  }
}

/// Appends a response body to a blob if it is the requested range.
private struct BlobReceiver: ResponseReceiver {
  let blob: BlobFile
  let start: Int
  let expected: HubFile

  func receive(head: ResponseHead) throws {
    switch head.status {
    case 206:
      guard start > 0, let range = ContentRange(head["Content-Range"]), range.first == start,
        range.total.map({ $0 == expected.byteCount }) ?? true
      else {
        try blob.restart()
        throw TransientFailure(
          reason: "asked for bytes from \(start), got '\(head["Content-Range"] ?? "")'")
      }
    case 200:
      if start > 0 { try blob.restart() }
      if head["Content-Encoding"] == nil, let length = head["Content-Length"].flatMap(Int.init),
        length != expected.byteCount
      {
        throw Mismatch(problem: "is \(length) bytes long, expected \(expected.byteCount)")
      }
    default:
      throw HubError(
        .answerInvalid, "the hub answered \(head.status) to the request for '\(expected.path)'")
    }
  }

  func receive(body: Data) throws { try blob.append(body) }
}

/// The range of a `Content-Range` header: `bytes 5-9/10`, or `bytes 5-9/*`.
struct ContentRange: Equatable {
  let first: Int
  let last: Int
  let total: Int?

  init?(_ text: String?) {
    guard let match = text?.wholeMatch(of: /bytes ([0-9]+)-([0-9]+)\/([0-9]+|\*)/),
      let first = Int(match.1), let last = Int(match.2), first <= last,
      match.3 == "*" || Int(match.3) != nil
    else { return nil }
    (self.first, self.last, total) = (first, last, Int(match.3))
  }
}
