public import FlowCore
internal import FlowImage
internal import Foundation

/// A source of frames.
public enum VideoSource: Hashable, Sendable {
  /// A file, or an address that ffmpeg can open (`https://`, `rtsp://`).
  case file(String)
  /// Images at a rate: a folder in numeric order, or a pattern of names such as `frames/%04d.png`.
  case pictures(String, rate: FrameRate)
  /// A camera: `/dev/video0` on Linux, AVFoundation's name or number on macOS.
  case camera(String, size: PixelSize? = nil, rate: FrameRate? = nil)
  /// A screen: an X11 display such as `:0.0` on Linux, AVFoundation's number on macOS.
  case screen(String, size: PixelSize? = nil, rate: FrameRate? = nil)
  /// The output of another program.
  case standardInput(StreamFormat)
  /// A filter graph of ffmpeg: `testsrc2=size=320x240:rate=30`.
  case generated(String)

  /// The format of a byte stream.
  public enum StreamFormat: Hashable, Sendable {
    /// YUV4MPEG2, which contains its size and rate.
    case y4m
    /// 8-bit RGB, frame after frame.
    case rgb(PixelSize, rate: FrameRate)
    /// Any format that ffmpeg recognizes, with the beginning if it was read already.
    ///
    /// ``VideoSource/opened(standardInput:spoolLimit:)`` reads the beginning.
    case detected([UInt8])
  }

  /// Parses a source in command-line notation: `-` for a video on standard input, `/dev/video0`,
  /// `:0.0`, `lavfi:testsrc2`, a folder, a pattern with `%`, else a file or address.
  ///
  /// - Parameters:
  ///   - text: the source.
  ///   - rate: the rate of images, and the requested rate of cameras and screens; images default to
  ///     25.
  public init(parsing text: String, rate: FrameRate? = nil) {
    var isFolder: ObjCBool = false
    let isThere = unsafe FileManager.default.fileExists(atPath: text, isDirectory: &isFolder)
    self =
      if text == "-" {
        .standardInput(.detected([]))
      } else if isThere, !isFolder.boolValue, !text.hasPrefix("/dev/") {
        // An existing file takes precedence over other interpretations of its name.
        .file(text)
      } else if text.hasPrefix("lavfi:") {
        .generated(String(text.dropFirst("lavfi:".count)))
      } else if text.hasPrefix("/dev/video") {
        .camera(text, rate: rate)
      } else if text.wholeMatch(of: /:\d+(\.\d+)?(\+\d+,\d+)?/) != nil {
        .screen(text, rate: rate)
      } else if isFolder.boolValue || (text.contains("%") && !text.contains("://")) {
        .pictures(text, rate: rate ?? FrameRate(25))
      } else {
        .file(text)
      }
  }

  /// Whether frames arrive in real time and are lost unless they are read.
  public var isLive: Bool {
    switch self {
    case .camera, .screen: true
    case .file, .pictures, .standardInput, .generated: false
    }
  }
}

extension VideoSource: CustomStringConvertible {
  /// The source as text, for messages.
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

extension VideoSource {
  /// Rejects a local file that does not exist or cannot be read, before ffmpeg is started.
  func checkFile() throws(MediaError) {
    guard case .file(let path) = self, VideoInput.address(of: path) != path else { return }
    var isFolder: ObjCBool = false
    guard unsafe FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
      throw MediaError(code: .fileUnreadable, message: "there is no file '\(path)'")
    }
    guard !isFolder.boolValue else {
      throw MediaError(
        code: .fileUnreadable, message: "cannot read \(self): it is a folder, not a video")
    }
    guard FileManager.default.isReadableFile(atPath: path) else {
      throw MediaError(code: .fileUnreadable, message: "cannot read \(self): Permission denied")
    }
  }

  /// ffmpeg's error message for this source, without its name in front.
  func withoutName(_ reason: String) -> String {
    switch self {
    case .file(let path), .pictures(let path, _):
      for name in ["file:\(path): ", "\(path): "] where reason.hasPrefix(name) {
        return String(reason.dropFirst(name.count))
      }
      return reason
    case .standardInput:
      return reason.hasPrefix("pipe:0: ") ? String(reason.dropFirst(8)) : reason
    case .camera, .screen, .generated: return reason
    }
  }
}
