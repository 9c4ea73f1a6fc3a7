internal import Foundation
internal import StreamFlow

/// The downloads of one pull.
struct Transfer: Sendable {
  let client: HubClient
  let commit: String
  let repository: CacheRepository
  let retry: RetryPolicy
  let report: @Sendable (HubPull.Event) -> Void

  /// The hub's description of a file, from its list or by a request.
  func describe(_ path: String, in listing: HubListing) async throws -> HubFile {
    if let file = listing.file(path) { return file }
    return try await retry("the request for '\(path)'") {
      try await client.description(of: path, at: commit)
    }
  }

  /// Downloads several files in parallel, and returns the number of bytes received.
  func download(_ files: [HubFile]) async throws -> Int {
    // Files with equal contents are one blob.
    var blobs: [[HubFile]] = []
    var indices: [BlobDigest: Int] = [:]
    for file in files {
      if let index = indices[file.digest] {
        blobs[index].append(file)
      } else {
        indices[file.digest] = blobs.count
        blobs.append([file])
      }
    }
    return try await withThrowingTaskGroup(of: Int.self) { group in
      var received = 0
      for (index, blob) in blobs.enumerated() {
        if index >= HubPull.concurrency { received += try await group.next() ?? 0 }
        group.addTask { try await download(same: blob) }
      }
      for try await count in group { received += count }
      return received
    }
  }

  private func download(same files: [HubFile]) async throws -> Int {
    let received = try await download(files[0], report: report)
    for file in files.dropFirst() { report(.found(byteCount: file.byteCount)) }
    for file in files { report(.finished(path: file.path, byteCount: file.byteCount)) }
    return received
  }

  /// Downloads one file, and returns the number of bytes received.
  func download(
    _ file: HubFile, report: @escaping @Sendable (HubPull.Event) -> Void
  ) async throws -> Int {
    let download = BlobDownload(
      client: client, commit: commit, file: file, repository: repository, retry: retry,
      report: report)
    return try await download()
  }
}
