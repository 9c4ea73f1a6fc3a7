public import FlowCore
public import FlowImage
internal import Foundation
internal import Subprocess

#if canImport(System)
  internal import System
#else
  internal import SystemPackage
#endif

/// Writes frames to a video file with an `ffmpeg` process.
///
///     let writer = try VideoWriter(to: "out.mp4", size: frames.size, rate: frames.rate)
///     let result = try await writer.write { video in
///       for try await frame in frames { try await video.write(frame.image) }
///     }
///
/// The file gets its name when it is complete. If writing stops early, because the closure throws
/// or its task is cancelled, the frames so far become a playable file under that name too, and the
/// error states this.
public struct VideoWriter: Sendable {
  /// The path of the file; `-` is standard output, as YUV4MPEG2.
  public let path: String
  /// The size of the frames.
  public let size: PixelSize
  /// The frame rate.
  public let rate: FrameRate
  /// The encoding options.
  public var options: VideoWriterOptions
  private let container: VideoContainer
  private let ffmpeg: FFmpeg?
  /// The descriptor of `-`; tests replace it.
  var standardOutput: Int32 = 1

  /// Creates a writer without writing anything.
  ///
  /// The file name extension determines the format: `.mp4`, `.mov` and `.mkv` with H.264, `.webm`
  /// with VP9 (or VP8), `.avi` with MPEG-4, `.gif`, `.apng`, images of a pattern such as
  /// `out/%04d.png`, `.y4m`, and `.rgb` for raw pixels. If a codec requires even sizes, the last
  /// column or row is repeated once.
  ///
  /// - Parameters:
  ///   - path: the path of the file, in an existing folder; `-` for standard output.
  ///   - size: the size of the frames.
  ///   - rate: the frame rate.
  ///   - options: the encoding options.
  ///   - ffmpeg: the programs; located on first use by default.
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

  /// Writes the frames of a closure.
  ///
  /// - Parameter body: writes frames, only while it runs.
  /// - Returns: a description of the written file.
  /// - Throws: a ``MediaError`` with the closure's error as its cause if a partial file remains,
  ///   else the closure's error, or errors that ffmpeg reports.
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
      // An ffmpeg that hangs after cancellation, such as on an unread output, is killed after a
      // minute.
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
    // Renaming the file is not cancelled with the rest.
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
    // If the first frame starts later, the other tracks start before it: frame times stay on the
    // grid of their rate.
    if !tracks.inputArguments.isEmpty, options.startTime > .zero, container.holdsFrameTimes {
      arguments += ["-itsoffset", "-\(options.startTime.decimalSeconds)"]
    }
    arguments += tracks.inputArguments + tracks.outputArguments
    if container.holdsChapters, let comment = options.comment {
      arguments += ["-metadata", "comment=\(comment)"]
    }
    arguments += encoding.arguments
    // MP4 would hide everything before time 0, so all tracks are shifted.
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

  /// The requested encoder, or the first of the container's encoders that this ffmpeg has.
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

/// The options of a video writer.
public struct VideoWriterOptions: Sendable {
  /// Whether to replace an existing file.
  public var overwriting: Bool
  /// ffmpeg's name of an encoder, instead of the container's usual one.
  public var encoder: String?
  /// The color encoding to write: the source's, with BT.709 for unspecified values.
  public var color: VideoColor
  /// Audio, subtitles and other tracks to transfer.
  public var tracks: VideoTracks?
  /// The start time of the first frame relative to those tracks.
  public var startTime = Duration.zero
  /// Whether frames have individual times (``VideoSink/write(_:at:)``); containers without frame
  /// times (`.avi`, `.y4m`, `.rgb`, images) repeat frames instead.
  public var isRateVariable = false
  /// The size that frames are scaled to fill; the excess in the other direction is cropped
  /// symmetrically.
  ///
  /// Nil leaves frames unscaled.
  public var outputSize: PixelSize?
  /// The file's comment, where the container holds metadata (mp4, mov, mkv, webm).
  ///
  /// It replaces the comment of the tracks' file; nil keeps it.
  public var comment: String?
  /// Log level and receiver of ffmpeg's messages.
  public var logging: FFmpegLogging?

  /// Creates options: no replacement, the default encoder, BT.709, no other tracks.
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

/// A description of the written file.
public struct VideoWriterResult: Hashable, Sendable {
  /// The path of the file.
  public let path: String
  /// The number of frames.
  public let frameCount: Int
  /// The size in the file, which may include one additional column or row.
  public let size: PixelSize
  /// The frame rate.
  public let rate: FrameRate
  /// ffmpeg's name of the encoder.
  public let encoder: String
  /// The result for each other track.
  public let tracks: [VideoTracks.Outcome]
  /// The total duration of the frames.
  public let duration: Duration
}
