internal import FlowCore
internal import FlowImage
internal import Foundation

/// The arguments and the standard input with which ffmpeg opens a source.
struct VideoInput: Sendable {
  /// The arguments up to and including `-i`.
  var arguments: [String]
  /// ffmpeg's standard input.
  var stream = Stream.none
  /// The rate, if it is known without probing.
  var rate: FrameRate?

  enum Stream: Sendable {
    case none
    /// The given bytes.
    case bytes([UInt8])
    /// This process's own standard input.
    case inherited
    /// This process's own standard input, whose beginning was read already.
    case continued([UInt8])
  }

  init(_ source: VideoSource) throws(MediaError) {
    switch source {
    case .file(let path):
      try source.checkFile()
      arguments = Self.options(ofFileAt: path) + ["-i", Self.address(of: path)]
    case .generated(let graph): arguments = ["-f", "lavfi", "-i", graph]
    case .pictures(let path, let rate):
      self.rate = rate
      if path.contains("%") {
        arguments = ["-f", "image2", "-framerate", "\(rate)", "-i", "file:\(path)"]
      } else {
        arguments = ["-f", "concat", "-safe", "0", "-protocol_whitelist", "file,pipe,fd"]
        arguments += ["-i", "pipe:0"]
        stream = try .bytes(Self.list(ofImagesIn: path, rate: rate))
      }
    case .camera(let name, let size, let rate):
      #if os(macOS)
        arguments = Self.live("avfoundation", size: size, rate: rate, name: "\(name):none")
      #else
        arguments = Self.live("v4l2", size: size, rate: rate, name: name)
      #endif
    case .screen(let name, let size, let rate):
      #if os(macOS)
        let name = "Capture screen \(name):none"
        arguments = Self.live("avfoundation", size: size, rate: rate, name: name)
      #else
        arguments = Self.live("x11grab", size: size, rate: rate, name: name)
      #endif
    case .standardInput(.y4m):
      arguments = ["-f", "yuv4mpegpipe", "-i", "pipe:0"]
      stream = .inherited
    case .standardInput(.detected(let beginning)):
      arguments = ["-i", "pipe:0"]
      stream = .continued(beginning)
    case .standardInput(.rgb(let size, let rate)):
      self.rate = rate
      arguments = Self.rawFrames(size: size, rate: rate)
      stream = .inherited
    }
  }

  /// Raw frames on ffmpeg's standard input.
  static func rawFrames(size: PixelSize, rate: FrameRate) -> [String] {
    ["-f", "rawvideo", "-pixel_format", "rgb24", "-video_size", "\(size)"]
      + ["-framerate", "\(rate)", "-i", "pipe:0"]
  }

  /// A path in a form that ffmpeg accepts for any initial letters; addresses are unchanged.
  static func address(of path: String) -> String {
    path.prefixMatch(of: /[A-Za-z][A-Za-z0-9+.\-]*:\/\//) == nil ? "file:\(path)" : path
  }

  /// Options for a file name: an image name that contains `%` is not a pattern.
  private static func options(ofFileAt path: String) -> [String] {
    let kinds = ["png", "jpg", "jpeg", "webp", "bmp", "tif", "tiff", "gif", "jxl", "jp2", "ppm"]
    let isImage = kinds.contains(URL(filePath: path).pathExtension.lowercased())
    return isImage && path.contains("%") && FileManager.default.fileExists(atPath: path)
      ? ["-f", "image2", "-pattern_type", "none"] : []
  }

  /// A device with ffmpeg's lowest latency.
  private static func live(
    _ format: String, size: PixelSize?, rate: FrameRate?, name: String
  ) -> [String] {
    ["-fflags", "nobuffer", "-flags", "low_delay", "-probesize", "32", "-analyzeduration", "0"]
      + ["-f", format] + (size.map { ["-video_size", "\($0)"] } ?? [])
      + (rate.map { ["-framerate", "\($0)"] } ?? []) + ["-i", name]
  }

  /// The images of a folder as a list in ffmpeg's concat format, 2 before 10.
  private static func list(
    ofImagesIn path: String, rate: FrameRate
  ) throws(MediaError) -> [UInt8] {
    let folder = try ImageFolder(path)
    guard folder.kinds.count == 1 else {
      let found = folder.kinds.map { "\($0.count) \($0.kind) ('\($0.example)')" }
      throw MediaError(
        code: .videoUnreadable,
        message: """
          the folder '\(path)' must hold images of one kind, and holds \
          \(found.isEmpty ? "none" : found.joined(separator: " and "))
          """)
    }
    let base = URL(filePath: path).standardizedFileURL.path
    let lines = folder.images.map { name in
      let path = "\(base)/\(name)".replacing("'", with: #"'\''"#)
      return "file 'file:\(path)'\nduration \(rate.time(ofFrame: 1).decimalSeconds)\n"
    }
    return Array(("ffconcat version 1.0\n" + lines.joined()).utf8)
  }
}
