public import FlowCore
internal import FlowImage
internal import Subprocess

#if canImport(System)
  internal import System
#else
  internal import SystemPackage
#endif

/// Reads the frames of a video with an `ffmpeg` process, upright and as RGB.
///
///     let reader = VideoReader(.file("in.mp4"))
///     try await reader.read { frames in
///       for try await frame in frames { show(frame.image) }
///     }
///
/// Every frame of a file is delivered once, with its own time, at constant and variable rates;
/// ``FrameSelection/rate`` requests a constant rate. Frames of cameras and screens are delivered as
/// they arrive. Pixels are made square, interlaced frames are deinterlaced, transparent ones are
/// blended over a background, and high dynamic range is converted to BT.709 if this ffmpeg supports
/// it (``FFmpeg/canToneMap()``). Only one frame is in memory at a time: a slow reader makes ffmpeg
/// wait. Leaving the closure ends ffmpeg in any case, and returns when it has ended.
public struct VideoReader: Sendable {
  /// The source of the frames.
  public let source: VideoSource
  /// The selected frames.
  public var selection: FrameSelection
  /// Log level and receiver of ffmpeg's messages; errors are thrown independently of this.
  public var logging: FFmpegLogging?
  /// The color under transparent pixels.
  public var background = RGBColor.white
  private let ffmpeg: FFmpeg?
  /// The descriptor of ``VideoSource/standardInput(_:)``; tests replace it.
  var standardInput: Int32 = 0

  /// Creates a reader without opening the source.
  ///
  /// - Parameters:
  ///   - source: the source of the frames.
  ///   - selection: the selected frames; all by default.
  ///   - ffmpeg: the programs; located on first use by default.
  public init(
    _ source: VideoSource, selection: FrameSelection = FrameSelection(), ffmpeg: FFmpeg? = nil
  ) {
    self.source = source
    self.selection = selection
    self.ffmpeg = ffmpeg
  }

  /// Opens the source, waits for the first frame, and passes the frames to a closure.
  ///
  /// - Parameter body: reads frames, at most once, and only while it runs.
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

  /// Starts ffmpeg on standard input whose beginning was read: writes the beginning, then the rest.
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
        // ffmpeg may have read enough, or this task was cancelled: the pipe is closed and writing
        // ends.
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

  /// The source of frame times.
  private func clock(_ information: VideoInformation?) -> FrameSource.Clock {
    guard isTimed else { return .counted }
    let isConstant = information.map { !$0.isRateVariable } ?? true
    return .logged(
      isConstant: isConstant, end: selection.start > .zero ? nil : information?.duration)
  }

  /// The properties known before reading; nil for devices and raw standard input.
  private func probed(_ ffmpeg: FFmpeg) async throws -> VideoInformation? {
    switch source {
    case .file, .generated, .standardInput(.detected):
      try await VideoProbe(ffmpeg: ffmpeg).information(of: source)
    case .pictures, .camera, .screen, .standardInput: nil
    }
  }
}

/// The selected frames of a source.
public struct FrameSelection: Hashable, Sendable {
  /// The start time.
  public var start: Duration
  /// The duration; nil means to the end.
  public var duration: Duration?
  /// Selects every n-th frame, 1 for all: durations are unchanged, the rate is divided.
  public var every: Int
  /// The rate before that selection, instead of the source's own.
  public var rate: FrameRate?

  /// Creates a selection; the default is all frames.
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

/// Log level and receiver of ffmpeg's messages.
public struct FFmpegLogging: Sendable {
  /// The log level; each level includes the ones before it.
  public enum Level: String, Sendable, CaseIterable {
    case error, warning, info, verbose, debug
  }

  /// The log level.
  public var level: Level
  /// Called with each line including its level: `[mov @ 0x55] [error] moov atom not found`.
  public var observe: @Sendable (String) -> Void

  /// Creates log settings.
  public init(level: Level, observe: @escaping @Sendable (String) -> Void) {
    self.level = level
    self.observe = observe
  }
}
