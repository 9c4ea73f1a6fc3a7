public import FlowCore
internal import Foundation

/// Where frames come from.
public enum VideoSource: Hashable, Sendable {
  /// A file, or an address that ffmpeg can open (`https://`, `rtsp://`).
  case file(String)
  /// Images at a rate: a folder of them in the order of their numbers, or a pattern of names such
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
    /// Whatever ffmpeg recognizes; the bytes are the beginning, where it was read already.
    ///
    /// ``VideoSource/opened(standardInput:spoolLimit:)`` reads the beginning.
    case detected([UInt8])
  }

  /// Reads a source as it is given on a command line: `-` for a video on standard input,
  /// `/dev/video0`, `:0.0`, `lavfi:testsrc2`, a folder, a pattern with `%`, else a file or address.
  ///
  /// - Parameters:
  ///   - text: the source.
  ///   - rate: the rate of images, and what is asked of cameras and screens; 25 for images
  ///     where there is none.
  public init(parsing text: String, rate: FrameRate? = nil) {
    var isFolder: ObjCBool = false
    let isThere = unsafe FileManager.default.fileExists(atPath: text, isDirectory: &isFolder)
    self =
      if text == "-" {
        .standardInput(.detected([]))
      } else if isThere, !isFolder.boolValue, !text.hasPrefix("/dev/") {
        // A file is that file, whatever its name looks like.
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

extension VideoSource {
  /// Refuses a local file that is not there or cannot be read, before ffmpeg is asked.
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

  /// What ffmpeg reports of this source, without its name in front.
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
