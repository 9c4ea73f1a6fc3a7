public import FlowCore
internal import Subprocess

#if canImport(System)
  internal import System
#else
  internal import SystemPackage
#endif

/// Reads the frames of a video through an `ffmpeg` process, upright and as RGB.
///
///     let reader = VideoReader(.file("in.mp4"))
///     try await reader.read { frames in
///       for try await frame in frames { show(frame.image) }
///     }
///
/// Every frame of a file comes once, with the time that the file gives it, whether its rate is
/// constant or not; ``FrameSelection/rate`` asks for a constant one. Those of cameras and screens
/// come as they come. Pixels are made square, interlaced frames are deinterlaced, transparent ones
/// laid over a background, and high dynamic range becomes BT.709 where this ffmpeg converts it
/// (``FFmpeg/canToneMap()``). One frame is held at a time: a reader that waits makes ffmpeg wait. Leaving the
/// closure by any way ends ffmpeg, and returns when it is gone.
public struct VideoReader: Sendable {
  /// Where frames come from.
  public let source: VideoSource
  /// Which frames are wanted.
  public var selection: FrameSelection
  /// What ffmpeg is to say, and to whom; errors reach the caller as errors anyway.
  public var logging: FFmpegLogging?
  /// The color under transparent pixels.
  public var background = RGBColor.white
  private let ffmpeg: FFmpeg?
  /// What ``VideoSource/standardInput(_:)`` means: tests give another file.
  var standardInput: Int32 = 0

  /// Creates a reader; nothing is opened yet.
  ///
  /// - Parameters:
  ///   - source: where frames come from.
  ///   - selection: which frames are wanted, all unless told otherwise.
  ///   - ffmpeg: the programs; found when they are needed unless given.
  public init(
    _ source: VideoSource, selection: FrameSelection = FrameSelection(), ffmpeg: FFmpeg? = nil
  ) {
    self.source = source
    self.selection = selection
    self.ffmpeg = ffmpeg
  }

  /// Opens the source, and gives its frames to a closure once the first one is there.
  ///
  /// - Parameter body: reads frames, at most once, and no longer than it runs itself.
  public nonisolated(nonsending) func read<Result>(
    _ body: nonisolated(nonsending) (VideoFrames) async throws -> Result
  ) async throws -> Result {
    let ffmpeg = try self.ffmpeg ?? .located()
    let input = try VideoInput(source)
    let information = try await probed(ffmpeg)
    let rate = selection.rate ?? information?.readingRate ?? input.rate
    var conversion = FrameConversion(background: background)
    if case .pictures = source { conversion.hasAlpha = true }
    if let information {
      let isTooBright = information.color.isHighDynamicRange
      conversion = FrameConversion(
        information, background: background,
        toneMaps: isTooBright ? try await ffmpeg.canToneMap() : false)
    }
    let arguments = arguments(input: input, rate: rate, conversion: conversion)
    let process =
      switch input.stream {
      case .none: try await start(ffmpeg, arguments: arguments, input: .none)
      case .bytes(let bytes): try await start(ffmpeg, arguments: arguments, input: .array(bytes))
      case .inherited:
        try await start(
          ffmpeg, arguments: arguments,
          input: .fileDescriptor(
            FileDescriptor(rawValue: standardInput), closeAfterSpawningProcess: false))
      case .continued(let beginning):
        try await start(ffmpeg, arguments: arguments, continuing: beginning)
      }
    let result: Swift.Result<Result, any Error>
    do {
      let frames = try await FrameSource(
        process, source: source, clock: clock(information), isMeasured: endsAreSilent
      ).open(rate: rate?.divided(by: selection.every))
      result = .success(try await body(frames))
    } catch {
      result = .failure(error)
    }
    process.end()
    _ = await process.exit()
    return try result.get()
  }

  private func start(
    _ ffmpeg: FFmpeg, arguments: [String], input: some InputProtocol
  ) async throws -> FFmpegProcess<FrameSource.Pipe> {
    try await .start(
      ffmpeg, arguments: arguments, input: input, output: .sequence,
      log: FFmpegLog(observe: logging?.observe)
    ) { $0.standardOutput }
  }

  /// Starts ffmpeg on standard input whose beginning was read: both are written to it in turn.
  private func start(
    _ ffmpeg: FFmpeg, arguments: [String], continuing beginning: [UInt8]
  ) async throws -> FFmpegProcess<FrameSource.Pipe> {
    BrokenPipes.areErrors
    let (writers, connected) = AsyncStream<StandardInputWriter>.makeStream()
    var process = try await FFmpegProcess.start(
      ffmpeg, arguments: arguments, input: .inputWriter, output: .sequence,
      log: FFmpegLog(observe: logging?.observe)
    ) { execution in
      connected.yield(execution.standardInputWriter)
      connected.finish()
      return execution.standardOutput
    }
    let input = PipeInput(standardInput)
    process.feeder = Task {
      for await writer in writers {
        // A program that has enough, or this task's end, closes the pipe: nothing more to write.
        do {
          var part = beginning
          while !part.isEmpty {
            _ = try await writer.write(part)
            part = try await input.read(until: nil) ?? []
          }
        } catch {}
        try? await writer.finish()
      }
    }
    return process
  }

  /// How frames get their times.
  private func clock(_ information: VideoInformation?) -> FrameSource.Clock {
    guard isTimed else { return .counted }
    let isConstant = information.map { !$0.isRateVariable } ?? true
    return .logged(
      isConstant: isConstant, end: selection.start > .zero ? nil : information?.duration)
  }

  /// What is known before frames come; nothing of devices, and of raw standard input.
  private func probed(_ ffmpeg: FFmpeg) async throws -> VideoInformation? {
    switch source {
    case .file, .generated, .standardInput(.detected):
      try await VideoProbe(ffmpeg: ffmpeg).information(of: source)
    case .pictures, .camera, .screen, .standardInput: nil
    }
  }
}

/// Which frames of a source are wanted.
public struct FrameSelection: Hashable, Sendable {
  /// Where to begin.
  public var start: Duration
  /// How long to go on; to the end unless told.
  public var duration: Duration?
  /// Every n-th frame of the rate is given, 1 for all: durations stay, the rate is divided.
  public var every: Int
  /// The rate before that, instead of the source's own.
  public var rate: FrameRate?

  /// Creates a selection, of all frames unless told otherwise.
  ///
  /// - Precondition: `every` is positive, and times are not negative.
  public init(
    start: Duration = .zero, duration: Duration? = nil, every: Int = 1, rate: FrameRate? = nil
  ) {
    precondition(every > 0, "every must be positive, got \(every)")
    precondition(start >= .zero && duration ?? .zero >= .zero, "times are not negative")
    self.start = start
    self.duration = duration
    self.every = every
    self.rate = rate
  }
}

/// What ffmpeg is to say of its work.
public struct FFmpegLogging: Sendable {
  /// How much: each level includes those before it.
  public enum Level: String, Sendable, CaseIterable {
    case error, warning, info, verbose, debug
  }

  /// How much ffmpeg says.
  public var level: Level
  /// Is given each line as it comes, with its level: `[mov @ 0x55] [error] moov atom not found`.
  public var observe: @Sendable (String) -> Void

  /// Creates a wish.
  public init(level: Level, observe: @escaping @Sendable (String) -> Void) {
    self.level = level
    self.observe = observe
  }
}
