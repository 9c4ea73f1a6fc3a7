public import FlowCore
internal import FlowImage
internal import Subprocess

/// Receives the frames of a video that is being written.
public struct VideoSink: Sendable {
  let feed: FrameFeed

  /// Writes the next frame; waits while the encoder's input is full.
  ///
  /// A started frame is completed even if the task is cancelled meanwhile, so that the file stays
  /// valid.
  ///
  /// - Precondition: the frame has the writer's size, and calls do not overlap.
  public func write(_ frame: PixelImage) async throws { try await feed.write(frame, at: nil) }

  /// Writes a frame with its start time.
  ///
  /// If the video's rate varies (``VideoWriterOptions/isRateVariable``), the frame gets that time.
  /// At a constant rate, the previous frame is repeated until then. Each frame is written at least
  /// once.
  ///
  /// - Parameters:
  ///   - frame: the frame.
  ///   - time: the time relative to the first frame; times must ascend.
  /// - Precondition: the frame has the writer's size, and calls do not overlap.
  public func write(_ frame: PixelImage, at time: Duration) async throws {
    try await feed.write(frame, at: time)
  }

  /// The number of frames written so far, including repeated ones.
  public var frameCount: Int { get async { await feed.count } }
}

/// Writes frames to ffmpeg's pipe.
actor FrameFeed {
  private let process: FFmpegProcess<StandardInputWriter>
  private let size: PixelSize
  private let rate: FrameRate
  /// Nil at a constant rate.
  private let timing: TimedFrames?
  private let failure: @Sendable (FFmpegLog) async -> MediaError
  private var isWriting = false
  private var last: PixelImage?
  private var lastTime = Duration.zero
  private(set) var count = 0

  init(
    _ process: FFmpegProcess<StandardInputWriter>, size: PixelSize, rate: FrameRate,
    isRateVariable: Bool, failure: @escaping @Sendable (FFmpegLog) async -> MediaError
  ) {
    self.process = process
    self.size = size
    self.rate = rate
    timing = isRateVariable ? TimedFrames(size: size) : nil
    self.failure = failure
  }

  /// The end time of the video.
  var duration: Duration {
    guard timing != nil, count > 0 else { return rate.time(ofFrame: count) }
    return lastTime + rate.time(ofFrame: 1)
  }

  func write(_ frame: PixelImage, at time: Duration?) async throws {
    precondition(
      frame.width == size.width && frame.height == size.height,
      "frames are \(size), got \(frame.width)x\(frame.height)")
    precondition(!isWriting, "one frame is written after another")
    try Task.checkCancellation()
    isWriting = true
    defer { isWriting = false }
    let time = time ?? (count == 0 ? .zero : lastTime + rate.time(ofFrame: 1))
    if let timing {
      let header = count == 0 ? timing.header : []
      try await put(header + timing.prefix(at: time) + frame.pixels)
    } else {
      let place = Int((time / .seconds(1) * rate.framesPerSecond).rounded())
      while let last, count < place { try await put(last.pixels) }
      try await put(frame.pixels)
      last = frame
    }
    lastTime = time
  }

  private func put(_ bytes: [UInt8]) async throws {
    try Task.checkCancellation()
    let pipe = process.pipe
    // A separate task, so that cancellation does not interrupt a frame.
    let written = await Task { try await pipe.write(bytes) }.result
    guard case .success(let byteCount) = written, byteCount == bytes.count else {
      _ = await process.exit()
      throw await failure(process.log)
    }
    count += 1
  }
}
