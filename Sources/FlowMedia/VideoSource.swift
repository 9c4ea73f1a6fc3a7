internal import Foundation

/// Where frames come from.
public enum VideoSource: Hashable, Sendable {
  /// A file, or an address that ffmpeg can open (`https://`, `rtsp://`).
  case file(String)
  /// Pictures at a rate: a folder of them in the order of their numbers, or a pattern of names such
  /// as `frames/%04d.png`.
  case pictures(String, rate: FrameRate)
  /// A camera: `/dev/video0` on Linux, a name or number of AVFoundation's on macOS.
  case camera(String, size: PixelSize? = nil, rate: FrameRate? = nil)
  /// A screen: an X11 display such as `:0.0` on Linux, a number of AVFoundation's on macOS.
  case screen(String, size: PixelSize? = nil, rate: FrameRate? = nil)
  /// What another program writes to this one.
  case standardInput(StreamFormat)
  /// A graph of ffmpeg's filters: `testsrc2=size=320x240:rate=30`.
  case generated(String)

  /// What a stream of bytes is.
  public enum StreamFormat: Hashable, Sendable {
    /// YUV4MPEG2, which says its size and rate itself.
    case y4m
    /// Red, green and blue of 8 bits each, frame after frame.
    case rgb(PixelSize, rate: FrameRate)
  }

  /// Reads a source as it is given on a command line: `-` for y4m on standard input, `/dev/video0`,
  /// `:0.0`, `lavfi:testsrc2`, a folder, a pattern with `%`, else a file or address.
  ///
  /// - Parameters:
  ///   - text: the source.
  ///   - rate: the rate of pictures, and what is asked of cameras and screens; 25 for pictures
  ///     where there is none.
  public init(parsing text: String, rate: FrameRate? = nil) {
    var isFolder: ObjCBool = false
    let isThere = unsafe FileManager.default.fileExists(atPath: text, isDirectory: &isFolder)
    self =
      if text == "-" {
        .standardInput(.y4m)
      } else if text.hasPrefix("lavfi:") {
        .generated(String(text.dropFirst("lavfi:".count)))
      } else if text.hasPrefix("/dev/video") {
        .camera(text, rate: rate)
      } else if text.wholeMatch(of: /:\d+(\.\d+)?(\+\d+,\d+)?/) != nil {
        .screen(text, rate: rate)
      } else if isFolder.boolValue || (!isThere && text.contains("%") && !text.contains("://")) {
        .pictures(text, rate: rate ?? FrameRate(25))
      } else {
        .file(text)
      }
  }

  /// Whether frames come when they come, and are lost when nobody takes them.
  public var isLive: Bool {
    switch self {
    case .camera, .screen: true
    case .file, .pictures, .standardInput, .generated: false
    }
  }
}

extension VideoSource: CustomStringConvertible {
  /// The source in words, for messages.
  public var description: String {
    switch self {
    case .file(let path), .pictures(let path, _): "'\(path)'"
    case .camera(let name, _, _): "the camera '\(name)'"
    case .screen(let name, _, _): "the screen '\(name)'"
    case .standardInput: "standard input"
    case .generated(let graph): "the graph '\(graph)'"
    }
  }
}
