public import FlowCore
internal import Subprocess

/// An image of a video, and its place.
public struct VideoFrame: Hashable, Sendable {
  /// The image.
  public let image: PixelImage
  /// Its number among those that are read, from 0.
  public let index: Int
  /// Its time from the first frame on; for cameras and screens, when it came.
  ///
  /// Those of a file are the file's own, and ascend.
  public let timestamp: Duration
}

/// The frames of an open video: asking for the next one lets ffmpeg go on.
public struct VideoFrames: AsyncSequence, Sendable {
  /// The size of each frame.
  public let size: PixelSize
  /// The rate of these frames: exact where it is constant, the grid that they fit where it varies,
  /// about it for cameras and screens.
  public let rate: FrameRate
  /// When the first frame is shown, from the beginning of the file or of the selected part: a video
  /// may begin after its sound.
  public let startTime: Duration
  /// Whether frames lie off the grid of the rate, by their times.
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

  /// Begins to read, which can be done once: a second iterator goes on where the first one stands.
  public func makeAsyncIterator() -> Iterator { Iterator(source: source) }

  /// Frames one after another.
  public struct Iterator: AsyncIteratorProtocol {
    fileprivate let source: FrameSource

    /// The next frame, or nil at the end.
    public mutating func next() async throws -> VideoFrame? { try await source.next() }
  }
}

/// Takes frames out of ffmpeg's pipe.
actor FrameSource {
  typealias Pipe = SubprocessOutputSequence

  /// How frames get their times.
  enum Clock {
    /// By their number and the rate, or by a clock where the source is live.
    case counted
    /// As ffmpeg logs them; no frame is later than the end.
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
  ///   - source: what it reads.
  ///   - clock: how frames get their times.
  ///   - isMeasured: whether only the number of bytes tells that a last frame was cut.
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

  /// Waits for the first frame, which tells the size, and the rate where it is not known.
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
      // The time that was spent between opening and reading is nobody's.
      start = clock.now
    } else {
      guard let next = try await nextImage() else { return nil }
      image = next
    }
    defer { count += 1 }
    if count > 0 { lastTime = await time(ofFrame: count) }
    return VideoFrame(image: image, index: count, timestamp: lastTime)
  }

  /// The time of a frame but the first, from the first one on.
  private func time(ofFrame index: Int) async -> Duration {
    if source.isLive { return start.duration(to: clock.now) }
    guard let rate else { return .zero }
    guard case .logged(let isConstant, let end) = times else { return rate.time(ofFrame: index) }
    let logged = await process.log.nextFrameTime()
    // Damaged files have frames without a time, or far from all others.
    guard var time = logged.map({ $0 - firstTime }),
      end.map({ time + firstTime <= $0 + .seconds(1) }) ?? true
    else { return lastTime + rate.time(ofFrame: 1) }
    if isConstant {
      // Matroska rounds times to a millisecond.
      let number = (time / .seconds(1) * rate.framesPerSecond).rounded()
      let exact = rate.time(ofFrame: Int(max(number, 0)))
      let tolerance = min(Duration.microseconds(1100), rate.time(ofFrame: 1) / 4)
      if time - exact <= tolerance, exact - time <= tolerance { time = exact }
    }
    return time > lastTime ? time : lastTime + .milliseconds(1)
  }

  /// A PPM image: `P6`, width, height and 255 on lines of their own, then the pixels.
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

  /// The text up to the end of a line, or nil at the end of everything.
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

  /// Has bytes at hand; false at the end of a video that was read whole.
  private func fill() async throws -> Bool {
    guard chunk.isEmpty else { return true }
    var iterator = chunks
    let next = try await iterator.next(isolation: self)
    chunks = iterator
    if let next {
      chunk = unsafe next.withUnsafeBytes { unsafe Array($0)[...] }
      return true
    }
    // Where the task was cancelled, the pipe looks as if it had ended.
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
    MediaError(code: .videoUnreadable, message: "cannot read \(source): ffmpeg sends no PPM")
  }
}
