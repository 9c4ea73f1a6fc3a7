public import FlowCore
internal import Subprocess

/// Takes the frames of a video that is being written.
public struct VideoSink: Sendable {
  let feed: FrameFeed

  /// Writes the next frame, and waits as long as the encoder has no room for it.
  ///
  /// A frame that was begun is written whole even where the task is cancelled meanwhile, so that
  /// the file stays sound.
  ///
  /// - Precondition: the frame is of the writer's size, and one is written after another.
  public func write(_ frame: PixelImage) async throws { try await feed.write(frame) }
}

/// Puts frames into ffmpeg's pipe.
actor FrameFeed {
  private let process: FFmpegProcess<StandardInputWriter>
  private let size: PixelSize
  private let failure: @Sendable (FFmpegLog) async -> MediaError
  private var isWriting = false
  private(set) var count = 0

  init(
    _ process: FFmpegProcess<StandardInputWriter>, size: PixelSize,
    failure: @escaping @Sendable (FFmpegLog) async -> MediaError
  ) {
    self.process = process
    self.size = size
    self.failure = failure
  }

  func write(_ frame: PixelImage) async throws {
    precondition(
      frame.width == size.width && frame.height == size.height,
      "frames are \(size), got \(frame.width)x\(frame.height)")
    precondition(!isWriting, "one frame is written after another")
    try Task.checkCancellation()
    isWriting = true
    defer { isWriting = false }
    let pipe = process.pipe
    // A task of its own is not cancelled in the middle of a frame.
    let written = await Task { try await pipe.write(frame.pixels) }.result
    guard case .success(let byteCount) = written, byteCount == frame.pixels.count else {
      _ = await process.exit()
      throw await failure(process.log)
    }
    count += 1
  }
}
