public import FlowCore
internal import FlowImage
internal import Subprocess

/// A frame of a video with its index and time.
public struct VideoFrame: Hashable, Sendable {
  /// The image.
  public let image: PixelImage
  /// Its index among the frames that are read, from 0.
  public let index: Int
  /// Its time relative to the first frame; for cameras and screens, the time of its arrival.
  ///
  /// The times of a file are the file's own, and ascend.
  public let timestamp: Duration
}

/// The frames of an open video.
///
/// Requesting the next frame lets ffmpeg continue.
public struct VideoFrames: AsyncSequence, Sendable {
  /// The size of each frame.
  public let size: PixelSize
  /// The rate of these frames: exact if constant, the grid of a variable rate, approximate for
  /// cameras and screens.
  public let rate: FrameRate
  /// The start time of the first frame in the file or in the selected part: a video may start after
  /// its audio.
  public let startTime: Duration
  /// Whether frame times deviate from the grid of the rate.
  public let isRateVariable: Bool
  private let source: FrameSource

  init(
    size: PixelSize, rate: FrameRate, startTime: Duration, isRateVariable: Bool,
    source: FrameSource
  ) {
    self.size = size
    self.rate = rate
    self.startTime = startTime
    self.isRateVariable = isRateVariable
    self.source = source
  }

  /// Starts reading, which is possible once: a second iterator continues at the position of the
  /// first.
  public func makeAsyncIterator() -> Iterator { Iterator(source: source) }

  /// Iterates over frames.
  public struct Iterator: AsyncIteratorProtocol {
    fileprivate let source: FrameSource

    /// The next frame, or nil at the end.
    public mutating func next() async throws -> VideoFrame? { try await source.next() }
  }
}

/// Reads frames from ffmpeg's pipe.
actor FrameSource {
  typealias Pipe = SubprocessOutputSequence

  /// The source of frame times.
  enum Clock {
    /// The index and the rate, or a clock for live sources.
    case counted
    /// ffmpeg's log; no frame is later than the end.
    case logged(isConstant: Bool, end: Duration?)
  }

  private let process: FFmpegProcess<Pipe>
  private let source: VideoSource
  private let times: Clock
  private let isMeasured: Bool
  private var chunks: Pipe.Iterator
  private var chunk: ArraySlice<UInt8> = []
  private var rate: FrameRate?
  private var first: PixelImage?
  private var firstTime = Duration.zero
  private var lastTime = Duration.zero
  private var count = 0
  private var isEnded = false
  private let clock = ContinuousClock()
  private var start: ContinuousClock.Instant

  /// - Parameters:
  ///   - process: ffmpeg.
  ///   - source: the source of the video.
  ///   - clock: the source of frame times.
  ///   - isMeasured: whether a truncated last frame can be detected only by the number of bytes.
  init(
    _ process: FFmpegProcess<Pipe>, source: VideoSource, clock times: Clock, isMeasured: Bool
  ) {
    self.times = times
    self.process = process
    self.source = source
    self.isMeasured = isMeasured
    chunks = process.pipe.makeAsyncIterator()
    start = clock.now
  }

  /// Waits for the first frame, which determines the size, and the rate if unknown.
  func open(rate: FrameRate?) async throws -> VideoFrames {
    guard let first = try await nextImage() else {
      throw MediaError(
        code: .videoUnreadable, message: "cannot read \(source): there is no frame in it")
    }
    self.first = first
    let logged = rate == nil ? await process.log.rate() : rate
    let rate = logged ?? FrameRate(25)
    self.rate = rate
    var isRateVariable = false
    if case .logged(let isConstant, _) = times {
      firstTime = max(await process.log.nextFrameTime() ?? .zero, .zero)
      isRateVariable = !isConstant
    }
    return VideoFrames(
      size: PixelSize(width: first.width, height: first.height), rate: rate, startTime: firstTime,
      isRateVariable: isRateVariable, source: self)
  }

  /// The next frame, or nil at the end.
  func next() async throws -> VideoFrame? {
    try Task.checkCancellation()
    let image: PixelImage
    if let first {
      image = first
      self.first = nil
      // The time between opening and reading is not counted.
      start = clock.now
    } else {
      guard let next = try await nextImage() else { return nil }
      image = next
    }
    defer { count += 1 }
    if count > 0 { lastTime = await time(ofFrame: count) }
    return VideoFrame(image: image, index: count, timestamp: lastTime)
  }

  /// The time of a frame after the first, relative to the first.
  private func time(ofFrame index: Int) async -> Duration {
    if source.isLive { return start.duration(to: clock.now) }
    guard let rate else { return .zero }
    guard case .logged(let isConstant, let end) = times else { return rate.time(ofFrame: index) }
    let logged = await process.log.nextFrameTime()
    // Damaged files have frames without a time, or with an outlying one.
    guard var time = logged.map({ $0 - firstTime }),
      end.map({ time + firstTime <= $0 + .seconds(1) }) ?? true
    else { return lastTime + rate.time(ofFrame: 1) }
    if isConstant {
      // Matroska rounds times to milliseconds.
      let number = (time / .seconds(1) * rate.framesPerSecond).rounded()
      let exact = rate.time(ofFrame: Int(max(number, 0)))
      let tolerance = min(Duration.microseconds(1100), rate.time(ofFrame: 1) / 4)
      if time - exact <= tolerance, exact - time <= tolerance { time = exact }
    }
    return time > lastTime ? time : lastTime + .milliseconds(1)
  }

  /// A PPM image: `P6`, width, height and 255 on separate lines, then the pixels.
  private func nextImage() async throws -> PixelImage? {
    guard !isEnded, let kind = try await line() else { return nil }
    guard kind == "P6", let size = try await line(), let most = try await line(), most == "255"
    else { throw foreign }
    let numbers = size.split(separator: " ").compactMap { Int($0) }
    guard numbers.count == 2, numbers[0] > 0, numbers[1] > 0,
      numbers[0] <= PixelImage.maximumPixelCount / numbers[1]
    else { throw foreign }
    var pixels: [UInt8] = []
    pixels.reserveCapacity(3 * numbers[0] * numbers[1])
    while pixels.count < 3 * numbers[0] * numbers[1] {
      guard try await fill() else { throw await cutShort(process.log.failure) }
      let part = chunk.prefix(3 * numbers[0] * numbers[1] - pixels.count)
      pixels.append(contentsOf: part)
      chunk.removeFirst(part.count)
    }
    return PixelImage(width: numbers[0], height: numbers[1], pixels: pixels)
  }

  /// The text up to the end of a line, or nil at the end of the stream.
  private func line() async throws -> String? {
    var text: [UInt8] = []
    while text.count < 32 {
      guard try await fill() else {
        guard text.isEmpty else { throw await cutShort(process.log.failure) }
        return nil
      }
      let byte = chunk.removeFirst()
      if byte == 10 { return String(decoding: text, as: UTF8.self) }
      text.append(byte)
    }
    throw foreign
  }

  /// Ensures that bytes are available; returns false at the end of a complete video.
  private func fill() async throws -> Bool {
    guard chunk.isEmpty else { return true }
    var iterator = chunks
    let next = try await iterator.next(isolation: self)
    chunks = iterator
    if let next {
      chunk = unsafe next.withUnsafeBytes { unsafe Array($0)[...] }
      return true
    }
    // If the task was cancelled, the pipe appears to have ended.
    try Task.checkCancellation()
    isEnded = true
    let isWhole = await process.exit()
    guard isWhole else {
      throw MediaError.unreadable(source, reason: await process.log.failure)
    }
    for sign in ["partial file", "< expected frame_size", "File ended prematurely"]
    where await process.log.contains(sign) { throw await cutShort(process.log.failure) }
    if isMeasured, await process.log.unreadByteCount > FFmpegLog.longestStreamHeader {
      throw cutShort("the last one lacks some of its bytes")
    }
    return false
  }

  private func cutShort(_ reason: String) -> MediaError {
    let frames = count == 1 ? "1 whole frame" : "\(count) whole frames"
    return MediaError(
      code: .videoCutShort,
      message: "\(source) ends in the middle of a frame, after \(frames): \(reason)")
  }

  private var foreign: MediaError {
    MediaError(
      code: .videoUnreadable,
      message:
        "cannot read \(source): ffmpeg did not send PPM images")
  }
}
