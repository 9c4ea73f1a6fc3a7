internal import Foundation

/// Asks `ffprobe` what a file, address, graph or series of images is.
///
/// Cameras, screens and standard input cannot be asked without taking from them: open them with a
/// ``VideoReader``, whose frames tell their size and rate. Of a stream whose beginning was read
/// (``VideoSource/opened(standardInput:)``) the beginning is probed.
public struct VideoProbe: Sendable {
  private let ffmpeg: FFmpeg?

  /// Creates a probe.
  ///
  /// - Parameter ffmpeg: the programs; found when they are needed unless given.
  public init(ffmpeg: FFmpeg? = nil) { self.ffmpeg = ffmpeg }

  /// What the first video stream of a source is; covers of music are no video.
  ///
  /// - Throws: `fileUnreadable` where there is no such file, `videoStreamMissing` for one without
  ///   video, and what ffmpeg reports.
  public func information(of source: VideoSource) async throws -> VideoInformation {
    let report = try await report(on: source)
    guard let stream = report.video, let size = stream.shownSize else {
      throw MediaError(
        code: .videoStreamMissing, message: "cannot read \(source): it has no video stream")
    }
    return VideoInformation(
      size: size, averageRate: stream.averageRate.flatMap(FrameRate.init),
      nominalRate: stream.nominalRate.flatMap(FrameRate.init),
      frameCount: stream.frameCount.flatMap { Int($0) }, duration: report.duration,
      codec: stream.codec ?? "unknown", pixelFormat: stream.pixelFormat, color: stream.color,
      audioCodecs: report.tracks.filter { $0.kind == .audio }.map(\.codec),
      subtitleCodecs: report.tracks.filter { $0.kind == .subtitles }.map(\.codec),
      hasAlpha: stream.hasAlpha, alphaDecoder: stream.alphaDecoder)
  }

  /// The tracks of a source beside its video, whether it has video or not.
  func tracks(of source: VideoSource) async throws -> [ProbedTrack] {
    try await report(on: source).tracks
  }

  private func report(on source: VideoSource) async throws -> ProbeReport {
    let ffmpeg = try self.ffmpeg ?? .located()
    if case .standardInput(.detected(let beginning)) = source {
      let file = try SpoolFile()
      defer { file.remove() }
      try file.append(beginning)
      var report = try await report(
        from: VideoInput(.file(file.path)), of: source, naming: file.path, ffmpeg)
      // Both are of the part that was read.
      report.format?.duration = nil
      report.streams = report.streams?.map { stream in
        var stream = stream
        (stream.duration, stream.frameCount) = (nil, nil)
        return stream
      }
      return report
    }
    let input = try VideoInput(source)
    guard case .none = input.stream, !source.isLive else {
      preconditionFailure("\(source) is asked by opening it")
    }
    return try await report(from: input, of: source, naming: nil, ffmpeg)
  }

  private func report(
    from input: VideoInput, of source: VideoSource, naming path: String?, _ ffmpeg: FFmpeg
  ) async throws -> ProbeReport {
    var arguments = ["-show_streams", "-show_format", "-loglevel", "level+error", "-of", "json"]
    arguments += input.arguments
    do {
      let text = try await ffmpeg.output(of: ffmpeg.probePath, arguments: arguments)
      return try JSONDecoder().decode(ProbeReport.self, from: Data(text.utf8))
    } catch let error as MediaError where error.code == .videoUnreadable {
      let reason = path.map { error.message.replacing("\($0): ", with: "") } ?? error.message
      throw MediaError.unreadable(source, reason: reason)
    } catch is DecodingError {
      throw MediaError.unreadable(source, reason: "ffprobe's answer is not understood")
    }
  }
}
