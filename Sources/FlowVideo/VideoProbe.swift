internal import FlowImage
internal import Foundation

/// Queries the properties of a file, address, filter graph or image sequence with `ffprobe`.
///
/// Cameras, screens and standard input cannot be probed without consuming data: open them with a
/// ``VideoReader``, whose frames have the size and rate. For a stream whose beginning was read
/// (``VideoSource/opened(standardInput:)``) the beginning is probed.
public struct VideoProbe: Sendable {
  private let ffmpeg: FFmpeg?

  /// Creates a probe.
  ///
  /// - Parameter ffmpeg: the programs; located on first use by default.
  public init(ffmpeg: FFmpeg? = nil) { self.ffmpeg = ffmpeg }

  /// The properties of a source's first video stream; cover images of music are ignored.
  ///
  /// - Throws: `fileUnreadable` if the file does not exist, `videoStreamMissing` if it has no
  ///   video, and errors that ffmpeg reports.
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
      comment: report.format?.comment, hasAlpha: stream.hasAlpha, alphaDecoder: stream.alphaDecoder)
  }

  /// The tracks of a source besides its video; the source need not have video.
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
      // Both values refer only to the beginning that was read.
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
      throw MediaError.unreadable(source, reason: "cannot parse ffprobe's output")
    }
  }
}
