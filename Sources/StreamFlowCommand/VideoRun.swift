internal import ArgumentParser
internal import FlowCore
internal import FlowMedia
internal import Foundation
internal import StreamFlow

/// One run of `streamflow video`: frames in, pictures out, and what was done.
struct VideoRun: Sendable {
  enum Style { case plain, quiet, json }

  let stream: LiveStream
  let source: VideoSource
  let selection: FrameSelection
  let output: String
  let encoder: String?
  let isMute: Bool
  let isSideBySide: Bool
  let overwrites: Bool
  let style: Style

  func callAsFunction() async throws {
    _ = try FFmpeg.located()
    let information: VideoInformation?
    if case .file = source {
      information = try await VideoProbe().information(of: source)
    } else {
      information = nil
    }
    // Before any work is done whose result would have no place.
    let size = await stream.pictureSize
    _ = try VideoWriter(
      to: output, size: PixelSize(width: size.width, height: size.height), rate: FrameRate(25))
    if !overwrites, output != "-", FileManager.default.fileExists(atPath: output) {
      throw MediaError(
        code: .fileUnwritable, message: "'\(output)' is there already; --overwrite replaces it")
    }
    if style == .plain { Terminal.note("preparing engines ...") }
    try await stream.prepare()
    if style == .plain { await tellRows() }
    let log = VideoLog(total: total(information), isVisible: style == .plain)
    let start = ContinuousClock.now
    var result: VideoWriterResult?
    var interruption: (any Error)?
    do {
      result = try await VideoReader(source, selection: selection).read { frames in
        try await write(frames, color: information?.color, log: log)
      }
    } catch { interruption = error }
    await stream.cancel()
    await log.finish()
    try await report(log, result: result, seconds: (ContinuousClock.now - start).seconds)
    if let interruption { throw interruption }
    // Those of a large network took long to compile; small ones are kept already.
    await stream.keepEngines()
    if await log.failedCount > 0 { throw ExitCode(EX_SOFTWARE) }
  }

  private func total(_ information: VideoInformation?) -> Int? {
    guard let information, var duration = information.duration else { return nil }
    duration -= selection.start
    if let limit = selection.duration { duration = min(duration, limit) }
    let rate = selection.rate ?? information.readingRate
    return Int((duration.seconds * rate.framesPerSecond / Double(selection.every)).rounded())
  }

  private func tellRows() async {
    let statistics = await stream.statistics
    guard let calibration = statistics.calibration else { return }
    let times = calibration.seconds.sorted { $0.key < $1.key }
      .map { String(format: "%d: %.1f", $0.key, $0.value * 1000) }.joined(separator: ", ")
    Terminal.note(
      String(
        format: "stages auto: %d rows a tick, %.2f times one row (ms a run by rows%@: %@)",
        calibration.rows, calibration.gain, calibration.isNew ? ", measured now" : "", times))
  }

  // MARK: - The way of frames

  private func write(
    _ frames: VideoFrames, color: VideoColor?, log: VideoLog
  ) async throws -> VideoWriterResult {
    let picture = await stream.pictureSize
    let size = PixelSize(width: picture.width * (isSideBySide ? 2 : 1), height: picture.height)
    var options = VideoWriterOptions(overwriting: overwrites, encoder: encoder)
    if let color { options.color = color }
    if case .file(let path) = source, !isMute {
      options.audio = VideoAudio(
        from: path, start: selection.start, duration: selection.duration)
    }
    let writer = try VideoWriter(to: output, size: size, rate: frames.rate, options: options)
    return try await writer.write { video in
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await feed(frames) }
        try await drain(into: video, rate: frames.rate, size: size, log: log)
        try await group.waitForAll()
      }
    }
  }

  /// Hands frames to the stream: those of a file wait for room, of a device the latest wins.
  private func feed(_ frames: VideoFrames) async throws {
    do {
      for try await frame in frames {
        if source.isLive {
          if await stream.offer(frame.image, timestamp: frame.timestamp) == .ended { break }
        } else {
          guard await stream.submit(frame.image, timestamp: frame.timestamp) != nil else { break }
        }
      }
    } catch {
      // What has been read is made; then the error is told.
      await stream.finish()
      throw error
    }
    await stream.finish()
  }

  private func drain(
    into video: VideoSink, rate: FrameRate, size: PixelSize, log: VideoLog
  ) async throws {
    var last: PixelImage?
    for try await frame in stream.frames {
      if case .failed(let error) = frame.outcome {
        Terminal.error("frame \(frame.index): \(error)")
      }
      let black = [UInt8](repeating: 0, count: 3 * size.width * size.height)
      let image =
        picture(of: frame) ?? last
        ?? PixelImage(width: size.width, height: size.height, pixels: black)
      last = image
      await log.add(frame)
      guard source.isLive else {
        try await video.write(image)
        await log.countWritten()
        continue
      }
      // At a constant rate: shown from its time on, and again until the next one's.
      let place = Int(frame.timestamp.seconds * rate.framesPerSecond)
      repeat {
        try await video.write(image)
        await log.countWritten()
      } while await log.writtenCount <= place
    }
  }

  /// What is shown of a frame.
  private func picture(of frame: LiveFrame) -> PixelImage? {
    guard isSideBySide else { return frame.image }
    guard let image = frame.image else { return nil }
    return image.beside(frame.input ?? image)
  }

  // MARK: - Report

  private func report(
    _ log: VideoLog, result: VideoWriterResult?, seconds: Double
  ) async throws {
    let statistics = await stream.statistics
    switch style {
    case .quiet: return
    case .plain:
      let (made, repeated, failed) = await (log.madeCount, log.repeatedCount, log.failedCount)
      let count = made + repeated + failed
      let line = String(
        format: "%d frames in %.2f s, %.1f a second (%d made, %d skipped, %d dropped, %d failed)",
        count, seconds, Double(count) / max(seconds, 1e-9), made, repeated,
        statistics.droppedCount, failed)
      say(result == nil ? line : "\(line): \(output)")
      for audio in result?.audio ?? [] {
        if let words = audio.words { say(words) }
      }
    case .json:
      let report = await VideoReport(
        log, statistics, stream: stream, output: result?.path, seconds: seconds)
      say(try JSON.text(of: report))
    }
  }

  /// A line on standard output, unless that is the video.
  private func say(_ line: String) {
    if output == "-" { Terminal.note(line) } else { Terminal.output(line) }
  }
}

extension VideoAudio.Outcome {
  /// What is worth saying of it.
  fileprivate var words: String? {
    switch self {
    case .copied: nil
    case .transcoded(let codec, let encoder): "sound: \(codec) was encoded anew by \(encoder)"
    case .leftOut(let codec): "sound: \(codec) was left out, the file takes none"
    }
  }
}

extension PixelImage {
  /// Another picture of the same height, and this one to its right.
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
