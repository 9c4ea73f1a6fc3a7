internal import Foundation

/// A source that is ready to be read, and what must be deleted afterwards.
public struct OpenedSource: Sendable {
  /// The source: standard input is a file by now, or a stream whose beginning was read.
  public let source: VideoSource
  private let spool: SpoolFile?

  init(_ source: VideoSource, spool: SpoolFile? = nil) {
    self.source = source
    self.spool = spool
  }

  /// Deletes the temporary file, if there is one.
  public func close() { spool?.remove() }
}

extension VideoSource {
  /// The most bytes of standard input that are stored in a temporary file: 16 GiB.
  public static let maximumSpoolSize = 16 << 30

  /// The most bytes that are read of standard input to tell what it is.
  static let maximumBeginning = 1 << 21

  /// Finds out what `.standardInput(.detected([]))` and named pipes are; other sources stay as they
  /// are.
  ///
  /// A redirected file is that file. MP4 and QuickTime, whose index may stand at their end, are
  /// stored in a temporary file, in the folder that `TMPDIR` names, and can be read like any file;
  /// fragmented MP4 and every other format is read as it comes, with its beginning probed. Named
  /// pipes are stored too: ffmpeg opens a file more than once.
  ///
  /// - Parameters:
  ///   - standardInput: the file descriptor.
  ///   - spoolLimit: the most bytes that are stored.
  /// - Throws: `videoUnreadable` for an input that is empty or larger than the limit, `diskFull`.
  public func opened(
    standardInput: Int32 = 0, spoolLimit: Int = VideoSource.maximumSpoolSize
  ) async throws -> OpenedSource {
    if case .file(let path) = self, let named = PipeInput(namedPipeAt: path) {
      defer { named.close() }
      return try await Self.stored([], named, limit: spoolLimit)
    }
    guard self == .standardInput(.detected([])) else { return OpenedSource(self) }
    if let path = PipeInput.regularFile(at: standardInput) { return OpenedSource(.file(path)) }
    let pipe = PipeInput(standardInput)
    var beginning: [UInt8] = []
    let clock = ContinuousClock()
    var deadline: ContinuousClock.Instant?
    while beginning.count < Self.maximumBeginning {
      if ISOBoxes(beginning).needsSeeking == true { break }
      // A live stream may be slow: what has come within a second must do.
      guard let part = try await pipe.read(until: deadline) else { break }
      guard !part.isEmpty else { break }
      beginning += part
      deadline = deadline ?? clock.now + .seconds(1)
    }
    guard !beginning.isEmpty else {
      throw MediaError(code: .videoUnreadable, message: "cannot read \(self): it is empty")
    }
    let boxes = ISOBoxes(beginning)
    guard boxes.needsSeeking ?? boxes.isMedia else {
      return OpenedSource(.standardInput(.detected(beginning)))
    }
    return try await Self.stored(beginning, pipe, limit: spoolLimit)
  }

  /// Stores what was read and the rest of a pipe.
  private static func stored(
    _ beginning: [UInt8], _ pipe: PipeInput, limit: Int
  ) async throws -> OpenedSource {
    let file = try SpoolFile()
    do {
      try file.append(beginning)
      try await spool(pipe, after: beginning.count, to: file, limit: limit)
    } catch {
      file.remove()
      throw error
    }
    return OpenedSource(.file(file.path), spool: file)
  }

  private static func spool(
    _ pipe: PipeInput, after beginningCount: Int, to file: SpoolFile, limit: Int
  ) async throws {
    var count = beginningCount
    while true {
      guard count <= limit else {
        throw MediaError(
          code: .videoUnreadable,
          message: """
            cannot read the pipe: it must be stored before it is read, and is larger than \(limit) \
            bytes; name the file instead
            """)
      }
      guard let part = try await pipe.read(until: nil), !part.isEmpty else { return }
      try file.append(part)
      count += part.count
    }
  }
}

/// The boxes that an MP4 or QuickTime file begins with.
struct ISOBoxes {
  /// Whether the bytes begin such a file.
  let isMedia: Bool
  /// Whether the file can only be read by seeking; nil as long as that is not known.
  let needsSeeking: Bool?

  private static let first: Set<String> = ["ftyp", "moov", "mdat", "wide", "free", "skip", "pnot"]

  init(_ bytes: [UInt8]) {
    var offset = 0
    var verdict: Bool?
    var isMedia = false
    while verdict == nil, offset + 8 <= bytes.count {
      let kind = String(decoding: bytes[offset + 4..<offset + 8], as: UTF8.self)
      if offset == 0 {
        isMedia = Self.first.contains(kind) || kind == "styp"
        guard isMedia else { break }
      }
      let size = bytes[offset..<offset + 4].reduce(0) { $0 << 8 | Int($1) }
      switch kind {
      case "mdat": verdict = true
      case "moov":
        // The index; of a fragmented file it says so, and frames come with what belongs to them.
        let end = offset + size
        let isWhole = end <= bytes.count
        let box = bytes[offset..<min(max(end, offset + 8), bytes.count)]
        if box.firstRange(of: Array("mvex".utf8)) != nil {
          verdict = false
        } else if isWhole {
          verdict = true
        } else {
          offset = bytes.count
        }
      default:
        // Sizes of 0 and 1 mean "to the end" and "64 bits".
        if size < 8 { verdict = true } else { offset += size }
      }
    }
    self.isMedia = isMedia
    needsSeeking = isMedia ? verdict : bytes.count < 8 ? nil : false
  }
}
