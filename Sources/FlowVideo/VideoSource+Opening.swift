internal import FlowImage
internal import Foundation

/// A source that is ready to be read, and the temporary file to delete afterwards.
public struct OpenedSource: Sendable {
  /// The source: standard input has become a file, or a stream whose beginning was read.
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
  /// The maximum number of bytes of standard input in a temporary file: 16 GiB.
  public static let maximumSpoolSize = 16 << 30

  /// The maximum number of bytes of standard input that are read to detect its format.
  static let maximumBeginning = 1 << 21

  /// Detects the format of `.standardInput(.detected([]))` and of named pipes; other sources are
  /// unchanged.
  ///
  /// A redirected file is used directly. MP4 and QuickTime, whose index may be at the end, are
  /// stored in a temporary file in the folder `TMPDIR`, and can then be read like any file.
  /// Fragmented MP4 and every other format is read as it arrives, and its beginning is probed.
  /// Named pipes are stored too, since ffmpeg opens a file more than once.
  ///
  /// - Parameters:
  ///   - standardInput: the file descriptor.
  ///   - spoolLimit: the maximum number of bytes to store.
  /// - Throws: `videoUnreadable` for an input that is empty or exceeds the limit, `diskFull`.
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
      // A live stream may be slow: the data of the first second must suffice.
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

  /// Stores the beginning and the rest of a pipe.
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

/// The boxes at the beginning of an MP4 or QuickTime file.
struct ISOBoxes {
  /// Whether the bytes are the beginning of such a file.
  let isMedia: Bool
  /// Whether the file can only be read by seeking; nil until that is known.
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
        // The index. In a fragmented file it is marked as such, and frames are accompanied by their
        // own metadata.
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
