internal import ArgumentParser
internal import FlowCore
internal import FlowEngine
internal import FlowImage
internal import FlowVideo
internal import Foundation
internal import StreamFlow

/// One run of `streamflow video`: reads frames, writes images, and reports.
struct VideoRun: Sendable {
  enum Style { case plain, verbose, quiet, json }

  let stream: LiveStream
  let source: VideoSource
  let selection: FrameSelection
  let target: VideoTarget
  /// The color under transparent pixels of the input.
  let background: RGBColor
  /// The upscaling, if any.
  let upscaling: Upscaling?
  /// The precision of the engines, and the reason.
  let precision: PrecisionReport
  let style: Style

  var isTalkative: Bool { style == .plain || style == .verbose }

  func callAsFunction() async throws {
    let ffmpeg = try FFmpeg.located()
    try target.check(against: source)
    let opened = try await source.opened()
    defer { opened.close() }
    try target.check(against: opened.source)
    let information = try await information(of: opened.source)
    if let information, information.color.isHighDynamicRange, try await !ffmpeg.canToneMap() {
      Terminal.warning(
        "\(source) has high dynamic range, and this ffmpeg cannot convert it (it has no zscale or "
          + "no tonemap filter): colors will look dull")
    }
    let log = VideoLog(isVisible: isTalkative)
    let problems = FFmpegProblems()
    var reader = VideoReader(opened.source, selection: selection)
    reader.background = background
    reader.logging = problems.logging
    var result: VideoWriterResult?
    var interruption: (any Error)?
    do {
      result = try await reader.read { frames in
        try await prepare(for: frames.size)
        await log.begin(total: total(information))
        return try await write(frames, from: opened.source, information, log: log)
      }
    } catch { interruption = error }
    await stream.cancel()
    await log.finish()
    if style == .json || result != nil || interruption == nil {
      try await report(log, result: result, source: opened.source, information)
    }
    if style != .quiet, interruption == nil { problems.report(on: source) }
    if let interruption { try end(with: interruption) }
    // Engines of a large network took long to compile; small ones are persisted already.
    await stream.store.persist()
    if await log.failedCount > 0 { throw ExitCode(EX_SOFTWARE) }
  }

  /// Throws the error that ended a run early; a stop by the user is not an error.
  private func end(with error: any Error) throws -> Never {
    guard let error = error as? MediaError, error.code == .interrupted,
      error.cause is CancellationError
    else { throw error }
    if style != .quiet { Terminal.note(error.message) }
    throw ExitStatus.interrupted
  }

  private func information(of source: VideoSource) async throws -> VideoInformation? {
    switch source {
    case .file, .generated, .standardInput(.detected):
      try await VideoProbe().information(of: source)
    case .pictures, .camera, .screen, .standardInput: nil
    }
  }

  /// Makes the engines for the input's aspect ratio.
  private func prepare(for input: PixelSize) async throws {
    let checkpoint = stream.checkpoint
    try await stream.update { settings in
      let size = checkpoint.size(
        forInputsOf: input.width, by: input.height, width: settings.width, height: settings.height)
      (settings.width, settings.height) = (size.width, size.height)
    }
    if isTalkative { Terminal.note("preparing engines ...") }
    try await stream.prepare()
    if style == .verbose { await tellRows() }
  }

  private func total(_ information: VideoInformation?) -> Int? {
    guard let information, var duration = information.duration else { return nil }
    if selection.rate == nil, selection.start == .zero, selection.duration == nil,
      let count = information.frameCount
    {
      return (count + selection.every - 1) / selection.every
    }
    duration -= selection.start
    if let limit = selection.duration { duration = min(duration, limit) }
    let rate = selection.rate ?? information.averageRate ?? information.readingRate
    return Int((duration.seconds * rate.framesPerSecond / Double(selection.every)).rounded())
  }

  private func tellRows() async {
    Terminal.note("precision \(precision.precision) (\(precision.reason))")
    let statistics = await stream.statistics
    guard let calibration = statistics.calibration else { return }
    let times = calibration.seconds.sorted { $0.key < $1.key }
      .map { String(format: "%d: %.1f", $0.key, $0.value * 1000) }.joined(separator: ", ")
    Terminal.note(
      String(
        format: "batch size auto: %d, %.2f times the throughput of 1 (ms per call by size%@: %@)",
        calibration.rows, calibration.gain, calibration.isNew ? ", measured now" : "", times))
  }

  // MARK: - Frames

  private func write(
    _ frames: VideoFrames, from source: VideoSource, _ information: VideoInformation?,
    log: VideoLog
  ) async throws -> VideoWriterResult {
    let (width, height) = await stream.imageSize
    let factor = upscaling?.factor ?? 1
    let image = PixelSize(width: width * factor, height: height * factor)
    let size = PixelSize(
      width: image.width * (target.isSideBySide ? 2 : 1), height: image.height)
    var options = VideoWriterOptions(overwriting: target.overwrites, encoder: target.encoder)
    if let color = information?.color, !color.isHighDynamicRange { options.color = color }
    options.tracks = target.tracks(of: source, selection)
    let parameters = GenerationSettings.adding(
      upscaling?.settings ?? [], to: stream.parameters(of: await stream.settings))
    options.comment = [information?.comment, parameters].compactMap(\.self)
      .joined(separator: "\n\n")
    options.startTime = frames.startTime
    options.isRateVariable = frames.isRateVariable
    options.outputSize = try target.size(of: image, input: frames.size)
    let folders = try target.createFolder()
    do {
      let writer = try VideoWriter(
        to: target.path, size: size, rate: frames.rate, options: options)
      return try await writer.write { video in
        let timeline = FrameTimeline()
        let isRepeatable = await isRepeatable
        try await withThrowingTaskGroup(of: Void.self) { group in
          group.addTask {
            try await feed(frames, isRepeatable: isRepeatable, timeline, log)
          }
          try await drain(into: video, rate: frames.rate, size: size, timeline, log: log)
          try await group.waitForAll()
        }
      }
    } catch {
      VideoTarget.removeEmpty(folders)
      throw error
    }
  }

  /// Whether equal frames give equal images, so that one image serves all of them.
  private var isRepeatable: Bool {
    get async {
      let settings = await stream.settings
      return !source.isLive && settings.filter == nil && settings.seedPolicy == .fixed
        && settings.reuse == LiveReuse()
    }
  }

  /// Sends frames to the stream: frames of a file wait for room, of a device the latest wins.
  private func feed(
    _ frames: VideoFrames, isRepeatable: Bool, _ timeline: FrameTimeline, _ log: VideoLog
  ) async throws {
    var last: PixelImage?
    do {
      for try await frame in frames {
        if source.isLive {
          if await stream.offer(frame.image, timestamp: frame.timestamp) == .ended { break }
          continue
        }
        let isRepeated = isRepeatable && frame.image == last
        last = frame.image
        await timeline.append(frame.timestamp, isRepeated: isRepeated)
        if isRepeated {
          await log.addRepeated(at: frame.timestamp)
        } else {
          guard await stream.submit(frame.image, timestamp: frame.timestamp) != nil else { break }
        }
      }
    } catch {
      // Frames that were read are finished; then the error is thrown.
      await stream.finish()
      throw error
    }
    await stream.finish()
  }

  private func drain(
    into video: VideoSink, rate: FrameRate, size: PixelSize, _ timeline: FrameTimeline,
    log: VideoLog
  ) async throws {
    let black = [UInt8](repeating: 0, count: 3 * size.width * size.height)
    var last = PixelImage(width: size.width, height: size.height, pixels: black)
    var finisher = FrameFinisher(upscaling: upscaling, isSideBySide: target.isSideBySide)
    for try await frame in stream.frames {
      if case .failed(let error) = frame.outcome {
        Terminal.error("frame \(frame.index): \(Remedy.words(error))")
      }
      for time in await timeline.takeRepeated() { try await video.write(last, at: time) }
      last = try await finisher.image(of: frame) ?? last
      await log.add(frame)
      if source.isLive {
        // At a constant rate: shown from its time on, and repeated until the next one's.
        let place = Int(frame.timestamp.seconds * rate.framesPerSecond)
        repeat { try await video.write(last) } while await video.frameCount <= place
      } else {
        try await video.write(last, at: await timeline.takeNew() ?? frame.timestamp)
      }
      await log.setWritten(video.frameCount)
    }
    for time in await timeline.takeRepeated() { try await video.write(last, at: time) }
    await log.setWritten(video.frameCount)
  }
}

/// The displayed images of frames.
private struct FrameFinisher {
  let upscaling: Upscaling?
  let isSideBySide: Bool
  /// The image that was enlarged last: a skipped frame repeats it.
  private var last: (small: PixelImage, large: PixelImage)?

  init(upscaling: Upscaling?, isSideBySide: Bool) {
    (self.upscaling, self.isSideBySide) = (upscaling, isSideBySide)
  }

  /// The image of a frame, if it has one, enlarged if requested, with its input to the left.
  mutating func image(of frame: LiveFrame) async throws -> PixelImage? {
    guard let made = frame.image else { return nil }
    let image = try await enlarged(made)
    guard isSideBySide else { return image }
    let input = frame.input ?? made
    return image.beside(
      input.resampled(width: image.width, height: image.height, fit: ImageFit(.stretch)))
  }

  private mutating func enlarged(_ image: PixelImage) async throws -> PixelImage {
    guard let upscaling else { return image }
    if let last, last.small == image { return last.large }
    let large = try await upscaling(image)
    last = (image, large)
    return large
  }
}

extension PixelImage {
  /// This image to the right of another of the same height.
  func beside(_ left: PixelImage) -> PixelImage {
    var pixels: [UInt8] = []
    pixels.reserveCapacity(left.pixels.count + self.pixels.count)
    for row in 0..<height {
      pixels += left.pixels[3 * left.width * row..<3 * left.width * (row + 1)]
      pixels += self.pixels[3 * width * row..<3 * width * (row + 1)]
    }
    return PixelImage(width: left.width + width, height: height, pixels: pixels)
  }
}
