/// Finished images, stored on disk for a limited time.
///
/// They are removed after their lifetime, when newer images need their space, and with the server.
/// The folder is private to the store; the next store in the same place removes leftovers of a
/// killed one.
actor ResultStore {
  private struct Entry {
    let byteCount: Int
    let end: ContinuousClock.Instant
  }

  private let maximumByteCount: Int
  private let lifetime: Duration
  private var folder: ResultFolder?
  private var entries: [ResultName: Entry] = [:]
  /// The names from oldest to newest, including some that were removed.
  private var order: ArraySlice<ResultName> = []
  private(set) var byteCount = 0

  /// Creates a store in a folder.
  ///
  /// - Parameters:
  ///   - folder: the folder, created if it does not exist.
  ///   - maximumByteCount: the maximum total size in bytes; a single image may be larger.
  ///   - lifetime: how long an image is stored.
  init(folder: String, maximumByteCount: Int, lifetime: Duration) throws {
    self.folder = try ResultFolder(in: folder)
    self.maximumByteCount = maximumByteCount
    self.lifetime = lifetime
  }

  /// The number of images.
  var count: Int { entries.count }
  /// The path of the images; nil after the end.
  var path: String? { folder?.path }

  /// Stores an image, and removes the oldest ones if the size limit is exceeded.
  func keep(
    _ bytes: [UInt8], format: ResultName.Format, now: ContinuousClock.Instant = .now
  ) throws -> ResultName {
    expire(now: now)
    guard folder != nil else {
      throw ResultStoreError(
        code: .closed,
        message:
          "images are no longer stored: the server is stopping")
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

  /// The image with a name; nil if it is not stored, or no longer.
  func bytes(
    of name: ResultName, now: ContinuousClock.Instant = .now
  ) throws -> [UInt8]? {
    expire(now: now)
    guard entries[name] != nil else { return nil }
    if let bytes = try folder?.read(name.description) { return bytes }
    // Another program removed the file.
    forget(name)
    return nil
  }

  /// Removes images.
  func remove(_ names: some Sequence<ResultName>) {
    for name in names { forget(name) }
  }

  /// Removes expired images.
  func expire(now: ContinuousClock.Instant = .now) {
    while let oldest = order.first {
      if let entry = entries[oldest], entry.end > now { return }
      forget(oldest)
      order.removeFirst()
    }
  }

  /// Removes the images and their folder; nothing is stored afterwards.
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

/// An error while finished images are stored or read.
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

  /// The kind of failure, for programmatic handling.
  let code: Code
  /// The message with a remedy.
  let message: String

  var description: String { message }
}
