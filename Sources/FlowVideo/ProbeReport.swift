internal import FlowCore

/// A track besides the video, as described by `ffprobe`.
struct ProbedTrack: Hashable, Sendable {
  var kind: VideoTracks.Kind
  /// Its index among all streams of the file.
  var index: Int
  /// ffmpeg's name of the codec, or else the file's own name of it; for an attachment, its file
  /// name.
  var codec: String
  /// Whether ffmpeg knows enough of the track to copy it.
  var isComplete = true
}

/// The used parts of the output of `ffprobe -of json`; any part may be missing.
struct ProbeReport: Decodable {
  var streams: [Stream]?
  var format: Format?

  /// The first video stream, ignoring cover images.
  var video: Stream? {
    streams?.first { $0.type == "video" && $0.disposition?.isCover != 1 }
  }

  var tracks: [ProbedTrack] { (streams ?? []).compactMap(\.track) }

  var duration: Duration? {
    [video?.duration, format?.duration].compactMap { $0 }.compactMap { Double($0) }.first
      .map { .microseconds(Int64(min(max($0, 0), 1e12) * 1e6)) }
  }

  struct Format: Decodable {
    var duration: String?
    var tags: [String: String]?

    /// The file's comment; Matroska's names are in capitals.
    var comment: String? { tags?.first { $0.key.lowercased() == "comment" }?.value }
  }

  struct Stream: Decodable {
    var index: Int?
    var type: String?
    var codec: String?
    var tag: String?
    var width: Int?
    var height: Int?
    var pixelFormat: String?
    var pixelAspect: String?
    var averageRate: String?
    var nominalRate: String?
    var frameCount: String?
    var duration: String?
    var channels: Int?
    var range: String?
    var matrix: String?
    var primaries: String?
    var transfer: String?
    var disposition: Disposition?
    var sideData: [SideData]?
    var tags: Tags?

    enum CodingKeys: String, CodingKey {
      case index, width, height, duration, disposition, tags, channels
      case type = "codec_type"
      case codec = "codec_name"
      case tag = "codec_tag_string"
      case pixelFormat = "pix_fmt"
      case pixelAspect = "sample_aspect_ratio"
      case averageRate = "avg_frame_rate"
      case nominalRate = "r_frame_rate"
      case frameCount = "nb_frames"
      case range = "color_range"
      case matrix = "color_space"
      case primaries = "color_primaries"
      case transfer = "color_transfer"
      case sideData = "side_data_list"
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
    var fileName: String?
    var mimeType: String?
    var alphaMode: String?

    enum CodingKeys: String, CodingKey {
      case rotate
      case fileName = "filename"
      case mimeType = "mimetype"
      case alphaMode = "alpha_mode"
    }
  }
}

extension ProbeReport.Stream {
  /// The displayed size: with square pixels, and after the rotation that the file specifies.
  var shownSize: PixelSize? {
    guard let width, let height, width > 0, height > 0 else { return nil }
    let aspect = aspect
    let square = PixelSize(
      width: Int((Double(width) * max(aspect, 1)).rounded()),
      height: Int((Double(height) / min(aspect, 1)).rounded()))
    let turn = sideData?.compactMap(\.rotation).first ?? tags?.rotate.flatMap { Double($0) } ?? 0
    let rest = abs(turn.truncatingRemainder(dividingBy: 180))
    let isUpright = rest < 45 || rest > 135
    return isUpright ? square : PixelSize(width: square.height, height: square.width)
  }

  /// The aspect ratio of a stored pixel, within the range that the reader supports.
  private var aspect: Double {
    let parts = (pixelAspect ?? "").split(separator: ":").compactMap { Double($0) }
    guard parts.count == 2, parts[0] > 0, parts[1] > 0 else { return 1 }
    return min(
      max(parts[0] / parts[1], VideoInformation.pixelAspects.lowerBound),
      VideoInformation.pixelAspects.upperBound)
  }

  var color: VideoColor {
    VideoColor(
      range: range.known, matrix: matrix.known, primaries: primaries.known,
      transfer: transfer.known)
  }

  /// Whether pixels have an alpha channel, in the pixel format or separately (VP8 and VP9).
  var hasAlpha: Bool {
    let format = pixelFormat ?? ""
    let isTransparent =
      ["yuva", "rgba", "bgra", "argb", "abgr", "gbrap", "ya8", "ya16", "pal8"].contains {
        format.hasPrefix($0)
      }
    return isTransparent || alphaDecoder != nil
  }

  /// The decoder that reads alpha, if ffmpeg's default decoder does not.
  var alphaDecoder: String? {
    guard tags?.alphaMode == "1" else { return nil }
    return codec == "vp8" ? "libvpx" : codec == "vp9" ? "libvpx-vp9" : nil
  }

  var track: ProbedTrack? {
    guard let index else { return nil }
    let tag = tag.flatMap { $0.contains("[") ? nil : $0 }
    let name = codec.flatMap { ["unknown", "none"].contains($0) ? nil : $0 }
    switch type {
    case "audio":
      return ProbedTrack(
        kind: .audio, index: index, codec: name ?? tag ?? "unknown",
        isComplete: name != nil && channels != 0)
    case "subtitle":
      return ProbedTrack(
        kind: .subtitles, index: index, codec: name ?? tag ?? "unknown", isComplete: name != nil)
    case "attachment":
      // Matroska's writer requires both tags.
      return ProbedTrack(
        kind: .attachment, index: index, codec: tags?.fileName ?? "without a name",
        isComplete: tags?.fileName != nil && tags?.mimeType != nil)
    default: return nil
    }
  }
}

extension String? {
  /// The value, unless it is a placeholder for unknown.
  fileprivate var known: String? {
    flatMap { ["unknown", "unspecified", "reserved", ""].contains($0) ? nil : $0 }
  }
}
