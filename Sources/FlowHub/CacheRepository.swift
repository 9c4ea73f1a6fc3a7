internal import FlowModels
internal import Foundation
internal import StreamFlow

/// One model's folder in the cache, for writing.
struct CacheRepository: Sendable {
  /// `models--org--name`.
  let folder: String
  private let locks: String

  /// Creates the folders that every download needs.
  init(_ cache: HubCache, model: HubModelName) throws(HubError) {
    folder = cache.repositoryFolder(of: model)
    locks = "\(cache.folder)/.locks/models--\(model.organization)--\(model.name)"
    for place in ["\(folder)/blobs", "\(folder)/refs", "\(folder)/snapshots", locks] {
      try Self.makeFolder(place)
    }
  }

  func blobPath(of digest: BlobDigest) -> String { "\(folder)/blobs/\(digest.name)" }

  func incompletePath(of digest: BlobDigest) -> String { "\(blobPath(of: digest)).incomplete" }

  func lockPath(of digest: BlobDigest) -> String { "\(locks)/\(digest.name).lock" }

  func snapshotPath(of commit: String) -> String { "\(folder)/snapshots/\(commit)" }

  /// Whether a file's blob exists with its full length.
  func holds(_ file: HubFile) -> Bool { Self.length(blobPath(of: file.digest)) == file.byteCount }

  /// The bytes of a file that are already there.
  func presentByteCount(of file: HubFile) -> Int {
    if holds(file) { return file.byteCount }
    let count = Self.length(incompletePath(of: file.digest)) ?? 0
    return count <= file.byteCount ? count : 0
  }

  /// The free bytes on the disk, if the system reports them.
  func freeByteCount() -> Int? {
    var information = statvfs()
    guard unsafe statvfs(folder, &information) == 0 else { return nil }
    let (bytes, isTooMany) = UInt64(information.f_bavail)
      .multipliedReportingOverflow(by: UInt64(information.f_frsize))
    return isTooMany ? Int.max : Int(clamping: bytes)
  }

  /// Creates the links of a snapshot.
  ///
  /// The index comes last, since it makes the snapshot a model.
  ///
  /// A file that is not a link is the user's own, such as `streamflow.json`, and stays.
  func link(_ files: [HubFile], at commit: String) throws(HubError) {
    let index = "model_index.json"
    for file in files.filter({ $0.path != index }) + files.filter({ $0.path == index }) {
      let place = "\(snapshotPath(of: commit))/\(file.path)"
      let depth = file.path.split(separator: "/").count + 1
      let target =
        String(repeating: "../", count: depth) + "blobs/\(file.digest.name)"
      if (try? FileManager.default.destinationOfSymbolicLink(atPath: place)) == target { continue }
      if Self.isFile(place) { continue }
      try Self.makeFolder(String(place[..<(place.lastIndex(of: "/") ?? place.endIndex)]))
      try Self.replace(place) { temporary in unsafe symlink(target, temporary) == 0 }
    }
  }

  /// Records the commit of a revision, unless the revision is a commit itself.
  func record(_ commit: String, as revision: String) throws(HubError) {
    guard revision != commit else { return }
    let place = "\(folder)/refs/\(revision)"
    try Self.makeFolder(String(place[..<(place.lastIndex(of: "/") ?? place.endIndex)]))
    try Self.replace(place) { temporary in
      FileManager.default.createFile(atPath: temporary, contents: Data(commit.utf8))
    }
  }

  /// Creates an item under a temporary name, then moves it into place atomically.
  private static func replace(
    _ place: String, make: (_ temporary: String) -> Bool
  ) throws(HubError) {
    let temporary = "\(place).writing-\(UInt64.random(in: 0 ... .max))"
    guard make(temporary), unsafe rename(temporary, place) == 0 else {
      let error = HubError.system("cannot write '\(place)'")
      unsafe unlink(temporary)
      throw error
    }
  }

  private static func makeFolder(_ path: String) throws(HubError) {
    do {
      try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    } catch {
      throw HubError(
        .cacheUnwritable,
        "cannot make the folder '\(path)': \(error.localizedDescription); HF_HUB_CACHE may name "
          + "another cache")
    }
  }

  /// Whether a path is a file and not a link.
  private static func isFile(_ path: String) -> Bool {
    var information = stat()
    return unsafe lstat(path, &information) == 0 && information.st_mode & S_IFMT == S_IFREG
  }

  private static func length(_ path: String) -> Int? {
    var information = stat()
    guard unsafe stat(path, &information) == 0, information.st_mode & S_IFMT == S_IFREG else {
      return nil
    }
    return Int(information.st_size)
  }
}
