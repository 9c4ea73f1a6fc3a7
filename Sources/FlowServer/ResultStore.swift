/// Finished images, kept on disk for a while.
///
/// They are gone after their lifetime, when newer ones need their room, and with the server: the
/// folder is the store's own and nobody else's, and what a store left that was killed, the next one
/// in the same place removes.
actor ResultStore {
  private struct Entry {
    let byteCount: Int
    let end: ContinuousClock.Instant
  }

  private let maximumByteCount: Int
  private let lifetime: Duration
  private var folder: ResultFolder?
  private var entries: [ResultName: Entry] = [:]
  /// The names from oldest to newest, with some that are no longer there.
  private var order: ArraySlice<ResultName> = []
  private(set) var byteCount = 0

  /// Makes a store of its own in a folder.
  ///
  /// - Parameters:
  ///   - folder: the folder, made where it is not there.
  ///   - maximumByteCount: the most bytes of all images; one alone may be larger.
  ///   - lifetime: how long an image is kept.
  init(folder: String, maximumByteCount: Int, lifetime: Duration) throws {
    self.folder = try ResultFolder(in: folder)
    self.maximumByteCount = maximumByteCount
    self.lifetime = lifetime
  }

  /// The number of images.
  var count: Int { entries.count }
  /// The place of the images; nil after the end.
  var path: String? { folder?.path }

  /// Keeps an image, and forgets the oldest where there is no room for all.
  func keep(
    _ bytes: [UInt8], format: ResultName.Format, now: ContinuousClock.Instant = .now
  ) throws -> ResultName {
    expire(now: now)
    guard folder != nil else {
      throw ResultStoreError(code: .closed, message: "no images are kept: the server stops")
    }
    var generator = SystemRandomNumberGenerator()
    let name = ResultName(format, using: &generator)
    try folder?.write(bytes, to: name.description)
    entries[name] = Entry(byteCount: bytes.count, end: now + lifetime)
    order.append(name)
    byteCount += bytes.count
    while byteCount > maximumByteCount, let oldest = order.first, oldest != name {
      forget(oldest)
      order.removeFirst()
    }
    return name
  }

  /// The image of a name; nil where it is not, or no longer, kept.
  func bytes(
    of name: ResultName, now: ContinuousClock.Instant = .now
  ) throws -> [UInt8]? {
    expire(now: now)
    guard entries[name] != nil else { return nil }
    if let bytes = try folder?.read(name.description) { return bytes }
    // Somebody has cleaned up.
    forget(name)
    return nil
  }

  /// Forgets images.
  func remove(_ names: some Sequence<ResultName>) {
    for name in names { forget(name) }
  }

  /// Forgets the images whose time is over.
  func expire(now: ContinuousClock.Instant = .now) {
    while let oldest = order.first {
      if let entry = entries[oldest], entry.end > now { return }
      forget(oldest)
      order.removeFirst()
    }
  }

  /// Removes the images and their folder; nothing is kept afterwards.
  func close() {
    folder = nil
    entries = [:]
    order = []
    byteCount = 0
  }

  private func forget(_ name: ResultName) {
    guard let entry = entries.removeValue(forKey: name) else { return }
    byteCount -= entry.byteCount
    folder?.remove(name.description)
  }
}

/// What went wrong between images and the disk that keeps them.
struct ResultStoreError: Error, Equatable, Sendable, CustomStringConvertible {
  enum Code: Sendable, CaseIterable {
    /// There is no room for an image.
    case diskFull
    /// The folder cannot be made or written.
    case folderUnusable
    /// An image cannot be read.
    case fileUnreadable
    /// The store has been closed.
    case closed
  }

  /// The kind of failure, to decide what to do about it.
  let code: Code
  /// The failure in words, with how to mend it.
  let message: String

  var description: String { message }
}
