internal import Foundation

/// Asks `ffprobe` what a file, address, graph or series of pictures is.
///
/// Cameras, screens and standard input cannot be asked without taking from them: open them with a
/// ``VideoReader``, whose frames tell their size and rate.
public struct VideoProbe: Sendable {
  private let ffmpeg: FFmpeg?

  /// Creates a probe.
  ///
  /// - Parameter ffmpeg: the programs; found when they are needed unless given.
  public init(ffmpeg: FFmpeg? = nil) { self.ffmpeg = ffmpeg }

  /// What the first video stream of a source is; covers of music are no video.
  public func information(of source: VideoSource) async throws -> VideoInformation {
    let report = try await report(on: source)
    let isVideo = { (stream: ProbeReport.Stream) in
      stream.type == "video" && stream.disposition?.isCover != 1
    }
    guard let stream = report.streams?.first(where: isVideo),
      let size = stream.shownSize
    else {
      throw MediaError(
        code: .videoStreamMissing, message: "cannot read \(source): it has no video stream")
    }
    return VideoInformation(
      size: size, averageRate: stream.averageRate.flatMap(FrameRate.init),
      nominalRate: stream.nominalRate.flatMap(FrameRate.init),
      frameCount: stream.frameCount.flatMap { Int($0) },
      duration: [stream.duration, report.format?.duration].compactMap { $0 }
        .compactMap { Double($0) }.first.map { .microseconds(Int64(min($0, 1e12) * 1e6)) },
      codec: stream.codec ?? "unknown", pixelFormat: stream.pixelFormat,
      color: VideoColor(
        range: stream.range.known, matrix: stream.matrix.known, primaries: stream.primaries.known,
        transfer: stream.transfer.known),
      audioCodecs: report.audioCodecs)
  }

  /// The codecs of a source's audio streams, whether it has video or not.
  func audioCodecs(of source: VideoSource) async throws -> [String] {
    try await report(on: source).audioCodecs
  }

  private func report(on source: VideoSource) async throws -> ProbeReport {
    let ffmpeg = try self.ffmpeg ?? .located()
    var input = try VideoInput(source)
    guard case .none = input.stream, !source.isLive else {
      preconditionFailure("\(source) is asked by opening it")
    }
    input.arguments.insert(contentsOf: ["-loglevel", "level+error", "-of", "json"], at: 0)
    input.arguments.insert(contentsOf: ["-show_streams", "-show_format"], at: 0)
    do {
      let text = try await ffmpeg.output(of: ffmpeg.probePath, arguments: input.arguments)
      return try JSONDecoder().decode(ProbeReport.self, from: Data(text.utf8))
    } catch let error as MediaError where error.code == .videoUnreadable {
      throw MediaError.unreadable(source, reason: error.message)
    } catch is DecodingError {
      throw MediaError.unreadable(source, reason: "ffprobe's answer is not understood")
    }
  }
}

/// What `ffprobe -of json` writes, as far as it is of use; anything may be missing.
private struct ProbeReport: Decodable {
  var streams: [Stream]?
  var format: Format?

  var audioCodecs: [String] {
    (streams ?? []).filter { $0.type == "audio" }.map { $0.codec ?? "unknown" }
  }

  struct Format: Decodable {
    var duration: String?
  }

  struct Stream: Decodable {
    var type: String?
    var codec: String?
    var width: Int?
    var height: Int?
    var pixelFormat: String?
    var averageRate: String?
    var nominalRate: String?
    var frameCount: String?
    var duration: String?
    var range: String?
    var matrix: String?
    var primaries: String?
    var transfer: String?
    var disposition: Disposition?
    var sideData: [SideData]?
    var tags: Tags?

    enum CodingKeys: String, CodingKey {
      case type = "codec_type"
      case codec = "codec_name"
      case width, height, duration, disposition, tags
      case pixelFormat = "pix_fmt"
      case averageRate = "avg_frame_rate"
      case nominalRate = "r_frame_rate"
      case frameCount = "nb_frames"
      case range = "color_range"
      case matrix = "color_space"
      case primaries = "color_primaries"
      case transfer = "color_transfer"
      case sideData = "side_data_list"
    }

    /// The size after the quarter turns that the file asks for.
    var shownSize: PixelSize? {
      guard let width, let height, width > 0, height > 0 else { return nil }
      let turn = sideData?.compactMap(\.rotation).first ?? tags?.rotate.flatMap { Double($0) } ?? 0
      let isUpright =
        abs(turn.truncatingRemainder(dividingBy: 180)) < 45
        || abs(turn.truncatingRemainder(dividingBy: 180)) > 135
      return isUpright
        ? PixelSize(width: width, height: height) : PixelSize(width: height, height: width)
    }
  }

  struct Disposition: Decodable {
    var isCover: Int?
    enum CodingKeys: String, CodingKey { case isCover = "attached_pic" }
  }

  struct SideData: Decodable {
    var rotation: Double?
  }

  struct Tags: Decodable {
    var rotate: String?
  }
}

extension String? {
  /// The name, unless it is one of those that say nothing.
  fileprivate var known: String? {
    flatMap { ["unknown", "unspecified", "reserved", ""].contains($0) ? nil : $0 }
  }
}
