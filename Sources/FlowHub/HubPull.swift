public import FlowModels
internal import Foundation
internal import StreamFlow

/// Downloads a model from a hub into the cache.
public struct HubPull: Sendable {
  /// An event of a download.
  public enum Event: Sendable {
    /// The files are known: their number and their total bytes.
    case planned(fileCount: Int, byteCount: Int)
    /// Bytes that were already in the cache.
    case found(byteCount: Int)
    /// Bytes that were received; negative if some were discarded.
    case received(byteCount: Int)
    /// A file is complete.
    case finished(path: String, byteCount: Int)
    /// Another process is downloading a file; this one waits for it.
    case waiting(path: String)
    /// A failed request is tried again.
    case retrying(reason: String, delay: Duration)
  }

  /// The model.
  public let model: HubModelName
  /// The branch, tag or commit.
  public let revision: String
  /// The path patterns that replace the automatic choice of files, if any.
  public let patterns: [String]

  /// Number of parallel downloads.
  static let concurrency = 4

  var retry = RetryPolicy()
  var idleTimeout = Duration.seconds(60)
  /// The free bytes on the cache's disk; nil if unknown.
  var freeByteCount: @Sendable (CacheRepository) -> Int? = { $0.freeByteCount() }

  /// Plans a download.
  ///
  /// - Throws: ``HubError`` if the revision is invalid.
  public init(
    model: HubModelName, revision: String = HubCache.defaultRevision, patterns: [String] = []
  ) throws(HubError) {
    guard HubCache.isRevision(revision) else {
      throw HubError(
        .requestInvalid, "'\(revision)' is not a revision; give a branch, a tag or a commit")
    }
    self.model = model
    self.revision = revision
    self.patterns = patterns
  }

  /// Downloads missing files, verifies them, and creates the snapshot.
  ///
  /// Downloaded data stays after cancellation or failure, and the next run continues from it.
  ///
  /// - Parameters:
  ///   - access: the hub.
  ///   - cache: the cache.
  ///   - report: receives events, on any thread.
  public func callAsFunction(
    from access: HubAccess, into cache: HubCache,
    report: @escaping @Sendable (Event) -> Void = { _ in }
  ) async throws -> HubSnapshot {
    let client = HubClient(
      access: access, model: model, revision: revision, http: HTTPClient(idleTimeout: idleTimeout))
    var retry = retry
    retry.report = { report(.retrying(reason: $0, delay: $1)) }
    let repository = try CacheRepository(cache, model: model)
    let listing = try await retry("the list of '\(model)'") { try await client.listing() }
    let transfer = Transfer(
      client: client, commit: listing.commit, repository: repository, retry: retry, report: report)
    let (files, receivedBefore) = try await chosenFiles(
      of: listing, transfer: transfer, report: report)
    report(.planned(fileCount: files.count, byteCount: Self.byteCount(of: files)))
    try checkRoom(for: files, in: repository)
    let received = try await transfer.download(files)
    try repository.link(files, at: listing.commit)
    try repository.record(listing.commit, as: revision)
    return HubSnapshot(
      folder: repository.snapshotPath(of: listing.commit), commit: listing.commit,
      files: files.map { HubSnapshot.File(path: $0.path, byteCount: $0.byteCount) },
      receivedByteCount: receivedBefore + received)
  }

  private func chosenFiles(
    of listing: HubListing, transfer: Transfer, report: @escaping @Sendable (Event) -> Void
  ) async throws -> (files: [HubFile], receivedByteCount: Int) {
    let choice = FileChoice(model: model, paths: listing.paths)
    var received = 0
    let paths: [String]
    if !patterns.isEmpty {
      paths = try choice.files(matching: patterns)
    } else if let index = choice.indexPath {
      let file = try await transfer.describe(index, in: listing)
      guard file.byteCount <= 1 << 20 else {
        throw HubError(
          .answerInvalid, "'\(index)' of '\(model)' is \(file.byteCount) bytes long; refused")
      }
      received = try await transfer.download(file) { event in
        // This file is not part of the plan yet, so it does not count as progress.
        if case .waiting = event { report(event) }
      }
      let place = transfer.repository.blobPath(of: file.digest)
      guard let contents = FileManager.default.contents(atPath: place) else {
        throw HubError(.cacheUnwritable, "cannot read '\(place)'")
      }
      paths = try choice.files(ofPipeline: contents)
    } else {
      paths = try choice.filesOfSingle()
    }
    var files: [HubFile] = []
    for path in paths { files.append(try await transfer.describe(path, in: listing)) }
    return (files, received)
  }

  private func checkRoom(for files: [HubFile], in repository: CacheRepository) throws(HubError) {
    let blobs = Dictionary(files.map { ($0.digest, $0) }) { first, _ in first }.values
    let needed = blobs.reduce(0) { sum, file in
      sum.saturatingAdd(file.byteCount - repository.presentByteCount(of: file))
    }
    guard needed > 0, let free = freeByteCount(repository), needed > free else { return }
    throw HubError(
      .diskFull,
      "'\(model)' needs \(needed) bytes more in '\(repository.folder)', its disk has room for "
        + "\(free); make room, or set HF_HUB_CACHE to a folder on another disk")
  }

  private static func byteCount(of files: [HubFile]) -> Int {
    files.reduce(0) { $0.saturatingAdd($1.byteCount) }
  }
}

/// A downloaded model in the cache.
public struct HubSnapshot: Sendable {
  /// A file of the snapshot.
  public struct File: Sendable {
    /// Its path in the snapshot.
    public let path: String
    /// Its length.
    public let byteCount: Int
  }

  /// The folder.
  public let folder: String
  /// The commit.
  public let commit: String
  /// The requested files.
  public let files: [File]
  /// The bytes that were received from the network.
  public let receivedByteCount: Int
}

extension Int {
  fileprivate func saturatingAdd(_ other: Int) -> Int {
    let (sum, isTooMuch) = addingReportingOverflow(other)
    return isTooMuch ? .max : sum
  }
}
