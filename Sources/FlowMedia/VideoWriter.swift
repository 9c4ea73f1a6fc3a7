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
  /// VP8), `.avi` with MPEG-4, `.gif`, `.apng`, pictures of a pattern such as `out/%04d.png`, `.y4m`,
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
    let audio = try await AudioPlan(options.audio, container: container, ffmpeg: ffmpeg)
    let encoding = VideoEncoding(
      encoder: encoder, container: container, size: size, color: options.color)
    let file = try VideoFile(at: path, container: container, overwriting: options.overwriting)
    let process = try await start(ffmpeg, encoding: encoding, audio: audio, file: file)
    let path = self.path
    let feed = FrameFeed(process, size: size) { await .unwritable(path, log: $0) }
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
      audio: audio.outcomes)
    // Naming the file is not cancelled with the rest.
    try await Task {
      try await file.finish(
        result, outcome: outcome, isWhole: isWhole, log: process.log, ffmpeg: ffmpeg)
    }.value
    return result
  }

  private func start(
    _ ffmpeg: FFmpeg, encoding: VideoEncoding, audio: AudioPlan, file: VideoFile
  ) async throws -> FFmpegProcess<StandardInputWriter> {
    let level = options.logging?.level ?? .error
    var arguments = ["-hide_banner", "-nostdin", "-nostats", "-loglevel", "level+\(level)", "-y"]
    arguments += VideoInput.rawFrames(size: size, rate: rate) + audio.inputArguments
    arguments += audio.outputArguments + encoding.arguments + [file.outputArgument]
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
  /// Sound to go along.
  public var audio: VideoAudio?
  /// What ffmpeg is to say, and to whom.
  public var logging: FFmpegLogging?

  /// Creates options: nothing is replaced, the usual encoder, BT.709, no sound.
  public init(
    overwriting: Bool = false, encoder: String? = nil, color: VideoColor = .highDefinition,
    audio: VideoAudio? = nil, logging: FFmpegLogging? = nil
  ) {
    self.overwriting = overwriting
    self.encoder = encoder
    self.color = color
    self.audio = audio
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
  /// What became of each stream of sound.
  public let audio: [VideoAudio.Outcome]

  /// How long the frames take.
  public var duration: Duration { rate.time(ofFrame: frameCount) }
}

/// Writing into a pipe whose reader has gone must be an error, not the end of the process.
private enum BrokenPipes {
  /// Ignores the signal, once, unless the program handles it already.
  static let areErrors: Void = {
    let before = signal(SIGPIPE, SIG_IGN)
    if before != nil { signal(SIGPIPE, before) }
  }()
}
