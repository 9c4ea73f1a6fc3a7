import FlowCore
import FlowTestSupport
import Foundation

@testable import FlowImage
@testable import FlowVideo

/// Small videos, made by ffmpeg itself.
struct Clips {
  let folder: TemporaryFolder
  let ffmpeg: FFmpeg

  init() throws {
    folder = try TemporaryFolder()
    ffmpeg = try .located()
  }

  func path(_ name: String) -> String { "\(folder.path)/\(name)" }

  /// Runs ffmpeg, and gives the path of what it makes.
  func make(_ name: String, _ arguments: [String]) async throws -> String {
    _ = try await ffmpeg.output(
      of: ffmpeg.path, arguments: ["-loglevel", "level+error", "-y"] + arguments + [path(name)])
    return path(name)
  }

  /// What ffprobe says of the first video stream and of the file: `width=320` and so on.
  func probe(_ path: String) async throws -> [String: String] {
    let entries = "stream=codec_name,width,height,r_frame_rate,nb_read_frames,color_range,"
    let text = try await ffmpeg.output(
      of: ffmpeg.probePath,
      arguments: [
        "-v", "error", "-select_streams", "v", "-count_frames", "-of", "default=nw=1",
        "-show_entries", entries + "color_space,color_primaries,color_transfer:format=duration",
        path,
      ])
    let pairs = text.split(separator: "\n").map { $0.split(separator: "=", maxSplits: 1) }
    return Dictionary(
      pairs.filter { $0.count == 2 }.map { (String($0[0]), String($0[1])) }
    ) { first, _ in first }
  }

  /// The commands that run now and have a text in them, each after its process group.
  func running(with mark: String) async throws -> [String] {
    let text = try await ffmpeg.output(of: "/bin/ps", arguments: ["-axwwo", "pgid=,command="])
    return text.split(separator: "\n").filter { $0.contains(mark) }.map {
      $0.trimmingCharacters(in: .whitespaces)
    }
  }

  /// Every frame of a source.
  func frames(of source: VideoSource, _ selection: FrameSelection = FrameSelection()) async throws
    -> (frames: [VideoFrame], rate: FrameRate)
  {
    try await VideoReader(source, selection: selection, ffmpeg: ffmpeg).read { frames in
      var all: [VideoFrame] = []
      for try await frame in frames { all.append(frame) }
      return (all, frames.rate)
    }
  }

  /// An image that changes smoothly between positions and from frame to frame.
  static func picture(_ size: PixelSize, index: Int) -> PixelImage {
    var pixels: [UInt8] = []
    for y in 0..<size.height {
      for x in 0..<size.width {
        pixels += [
          UInt8(truncatingIfNeeded: min(255, 20 + 180 * x / size.width + 4 * index)),
          UInt8(truncatingIfNeeded: 40 + 180 * y / size.height), UInt8(90 + index),
        ]
      }
    }
    return PixelImage(width: size.width, height: size.height, pixels: pixels)
  }

  /// The largest and the mean difference of two images, by byte.
  static func difference(_ one: PixelImage, _ other: PixelImage) -> (worst: Int, mean: Double) {
    guard one.width == other.width, one.height == other.height else { return (256, 256) }
    let differences = zip(one.pixels, other.pixels).map { abs(Int($0) - Int($1)) }
    return (
      differences.max() ?? 0, Double(differences.reduce(0, +)) / Double(differences.count)
    )
  }
}
