public import FlowCore
internal import Foundation
internal import Subprocess

#if canImport(System)
  internal import System
#else
  internal import SystemPackage
#endif

/// Writes frames to a video file through an `ffmpeg` process.
///
///     let writer = try VideoWriter(to: "out.mp4", size: frames.size, rate: frames.rate)
///     let result = try await writer.write { video in
///       for try await frame in frames { try await video.write(frame.image) }
///     }
///
/// The file appears under its name when it is whole. Where writing stops before its end, because
/// the closure throws or its task is cancelled, the frames so far become a file that plays, under
/// that name too, and the error says so.
public struct VideoWriter: Sendable {
  /// The place of the file; `-` is standard output, as YUV4MPEG2.
  public let path: String
  /// The size of the frames that are written.
  public let size: PixelSize
  /// Their rate.
  public let rate: FrameRate
  /// How it is written.
  public var options: VideoWriterOptions
  private let container: VideoContainer
  private let ffmpeg: FFmpeg?
  /// What `-` means: tests give another file.
  var standardOutput: Int32 = 1

  /// Creates a writer; nothing is written yet.
  ///
  /// The name's ending tells the form: `.mp4`, `.mov` and `.mkv` with H.264, `.webm` with VP9 (or
  /// VP8), `.avi` with MPEG-4, `.gif`, `.apng`, images of a pattern such as `out/%04d.png`, `.y4m`,
  /// and `.rgb` for bare pixels. Where a codec needs even sizes, the last column or row is repeated
  /// once.
  ///
  /// - Parameters:
  ///   - path: the place of the file, whose folder is there; `-` for standard output.
  ///   - size: the size of the frames.
  ///   - rate: their rate.
  ///   - options: how it is written.
  ///   - ffmpeg: the programs; found when they are needed unless given.
  /// - Precondition: the size is positive.
  public init(
    to path: String, size: PixelSize, rate: FrameRate,
    options: VideoWriterOptions = VideoWriterOptions(), ffmpeg: FFmpeg? = nil
  ) throws(MediaError) {
    precondition(size.width > 0 && size.height > 0, "a frame has a size, got \(size)")
    container = path == "-" ? .y4m : try VideoContainer(ofFileAt: path)
    self.path = path
    self.size = size
    self.rate = rate
    self.options = options
    self.ffmpeg = ffmpeg
  }

  /// Writes the frames that a closure gives.
  ///
  /// - Parameter body: writes frames, and no longer than it runs itself.
  /// - Returns: what was written.
  /// - Throws: a ``MediaError`` with the closure's error as its cause where that left a file, else
  ///   the closure's error, or what ffmpeg reports.
  public nonisolated(nonsending) func write(
    _ body: nonisolated(nonsending) (VideoSink) async throws -> Void
  ) async throws -> VideoWriterResult {
    BrokenPipes.areErrors
    let ffmpeg = try self.ffmpeg ?? .located()
    let encoder = try await encoder(ffmpeg)
    if let tracks = options.tracks {
      try VideoSource.file(tracks.path).check(output: path)
    }
    let tracks = try await TrackPlan(options.tracks, container: container, ffmpeg: ffmpeg)
    let isTimed = options.isRateVariable && container.holdsFrameTimes
    let encoding = VideoEncoding(
      encoder: encoder, container: container, size: size, outputSize: options.outputSize,
      isRateVariable: isTimed, color: options.color)
    let file = try VideoFile(at: path, container: container, overwriting: options.overwriting)
    let process = try await start(ffmpeg, encoding: encoding, tracks: tracks, file: file)
    let path = self.path
    let feed = FrameFeed(process, size: size, rate: rate, isRateVariable: isTimed) {
      await .unwritable(path, log: $0)
    }
    let outcome: Result<Void, any Error>
    do {
      // What hangs after the task was cancelled, an output that nobody reads, ends after a minute.
      try await withTaskCancellationHandler {
        try await body(VideoSink(feed: feed))
      } onCancel: {
        process.end(within: .seconds(60))
      }
      outcome = .success(())
    } catch {
      outcome = .failure(error)
    }
    try? await process.pipe.finish()
    let isWhole = await process.exit()
    let result = VideoWriterResult(
      path: path, frameCount: await feed.count, size: encoding.size, rate: rate, encoder: encoder,
      tracks: tracks.outcomes, duration: await feed.duration)
    // Naming the file is not cancelled with the rest.
    try await Task {
      try await file.finish(
        result, outcome: outcome, isWhole: isWhole, log: process.log, ffmpeg: ffmpeg)
    }.value
    return result
  }

  private func start(
    _ ffmpeg: FFmpeg, encoding: VideoEncoding, tracks: TrackPlan, file: VideoFile
  ) async throws -> FFmpegProcess<StandardInputWriter> {
    let level = options.logging?.level ?? .error
    var arguments = ["-hide_banner", "-nostdin", "-nostats", "-loglevel", "level+\(level)", "-y"]
    arguments +=
      encoding.isRateVariable
      ? TimedFrames.inputArguments : VideoInput.rawFrames(size: size, rate: rate)
    // Where the first frame is shown later, the other tracks begin before it: the times of frames
    // stay on the grid of their rate.
    if !tracks.inputArguments.isEmpty, options.startTime > .zero, container.holdsFrameTimes {
      arguments += ["-itsoffset", "-\(options.startTime.decimalSeconds)"]
    }
    arguments += tracks.inputArguments + tracks.outputArguments + encoding.arguments
    // MP4 would hide what lies before 0; so everything is shifted.
    if options.startTime > .zero, container == .mp4 || container == .mov {
      arguments += ["-avoid_negative_ts", "make_zero"]
    }
    arguments.append(file.outputArgument)
    let log = FFmpegLog(observe: options.logging?.observe)
    do {
      guard path == "-" else {
        return try await .start(
          ffmpeg, arguments: arguments, input: .inputWriter, output: .discarded, log: log
        ) { $0.standardInputWriter }
      }
      let output = FileDescriptor(rawValue: standardOutput)
      return try await .start(
        ffmpeg, arguments: arguments, input: .inputWriter,
        output: .fileDescriptor(output, closeAfterSpawningProcess: false), log: log
      ) { $0.standardInputWriter }
    } catch {
      file.remove()
      throw error
    }
  }

  /// The encoder that was asked for, or the first of the container's that this ffmpeg has.
  private func encoder(_ ffmpeg: FFmpeg) async throws -> String {
    let wanted = options.encoder.map { [$0] } ?? container.encoders
    let built = try await ffmpeg.encoders(ofKind: "V")
    if let encoder = wanted.first(where: built.contains) { return encoder }
    let useful = built.filter { name in
      ["264", "265", "hevc", "vpx", "av1", "mpeg4", "ffv1"].contains { name.contains($0) }
    }
    throw MediaError(
      code: .encoderMissing,
      message: """
        cannot write '\(path)': this ffmpeg has no encoder \(wanted.joined(separator: " or ")); it \
        has \(useful.joined(separator: ", "))
        """)
  }
}

/// How a video is written.
public struct VideoWriterOptions: Sendable {
  /// Whether a file that is there is replaced.
  public var overwriting: Bool
  /// ffmpeg's name of an encoder, instead of the container's usual one.
  public var encoder: String?
  /// What the colors are written as: that of the source, BT.709 for what it does not say.
  public var color: VideoColor
  /// Sound, subtitles and other tracks to carry over.
  public var tracks: VideoTracks?
  /// When the first frame is shown, beside those tracks.
  public var startTime = Duration.zero
  /// Whether frames have times of their own (``VideoSink/write(_:at:)``); containers that have none
  /// (`.avi`, `.y4m`, `.rgb`, images) repeat frames instead.
  public var isRateVariable = false
  /// The size that frames are scaled to, filling it: what is beyond the other proportion is cut off
  /// evenly.
  ///
  /// Nil leaves frames as they are.
  public var outputSize: PixelSize?
  /// What ffmpeg is to say, and to whom.
  public var logging: FFmpegLogging?

  /// Creates options: nothing is replaced, the usual encoder, BT.709, no other tracks.
  public init(
    overwriting: Bool = false, encoder: String? = nil, color: VideoColor = .highDefinition,
    tracks: VideoTracks? = nil, logging: FFmpegLogging? = nil
  ) {
    self.overwriting = overwriting
    self.encoder = encoder
    self.color = color
    self.tracks = tracks
    self.logging = logging
  }
}

/// What was written.
public struct VideoWriterResult: Hashable, Sendable {
  /// The place of the file.
  public let path: String
  /// The number of frames.
  public let frameCount: Int
  /// The size in the file, where one column or row may have been added.
  public let size: PixelSize
  /// The rate.
  public let rate: FrameRate
  /// ffmpeg's name of the encoder.
  public let encoder: String
  /// What became of each other track.
  public let tracks: [VideoTracks.Outcome]
  /// How long the frames take.
  public let duration: Duration
}
