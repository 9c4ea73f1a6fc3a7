internal import FlowImage
internal import Foundation

/// A container format of video files.
enum VideoContainer: CaseIterable {
  case mp4, mov, matroska, webm, avi, gif, apng, pictures, y4m, raw

  /// The format for a file name.
  init(ofFileAt path: String) throws(MediaError) {
    let suffix = URL(filePath: path).pathExtension.lowercased()
    let isPattern = URL(filePath: path).lastPathComponent.contains("%")
    let container: VideoContainer? =
      switch suffix {
      case "mp4", "m4v": .mp4
      case "mov": .mov
      case "mkv": .matroska
      case "webm": .webm
      case "avi": .avi
      case "gif": .gif
      case "apng": .apng
      case "png": isPattern ? .pictures : nil
      case "y4m": .y4m
      case "rgb": .raw
      default: nil
      }
    guard let container else {
      throw MediaError(
        code: .formatUnsupported,
        message: """
          cannot write '\(path)': video goes to .mp4, .mov, .mkv, .webm, .avi, .gif, .apng, .y4m, \
          .rgb, or to images of a pattern such as out/%04d.png
          """)
    }
    self = container
  }

  /// ffmpeg's name of the format.
  var muxer: String {
    switch self {
    case .mp4: "mp4"
    case .mov: "mov"
    case .matroska: "matroska"
    case .webm: "webm"
    case .avi: "avi"
    case .gif: "gif"
    case .apng: "apng"
    case .pictures: "image2"
    case .y4m: "yuv4mpegpipe"
    case .raw: "rawvideo"
    }
  }

  /// The default encoders, best first.
  var encoders: [String] {
    switch self {
    case .mp4, .mov, .matroska: ["libx264"]
    case .webm: ["libvpx-vp9", "libvpx"]
    case .avi: ["mpeg4"]
    case .gif: ["gif"]
    case .apng: ["apng"]
    case .pictures: ["png"]
    case .y4m: ["wrapped_avframe"]
    case .raw: ["rawvideo"]
    }
  }

  /// The container's additional options.
  var options: [String] {
    switch self {
    // The index comes before the frames: a player can start at once over a network.
    case .mp4, .mov: ["-movflags", "+faststart"]
    case .apng: ["-plays", "0"]
    case .matroska, .webm, .avi, .gif, .pictures, .y4m, .raw: []
    }
  }

  /// Whether frames have individual times; other containers repeat frames.
  var holdsFrameTimes: Bool {
    switch self {
    case .mp4, .mov, .matroska, .webm, .gif, .apng: true
    case .avi, .pictures, .y4m, .raw: false
    }
  }
}
