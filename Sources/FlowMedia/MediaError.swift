public import Foundation

/// What went wrong between images or frames in memory and files, devices and programs.
public struct MediaError: Error, Sendable, CustomStringConvertible {
  /// The kind of failure.
  public enum Code: Sendable, CaseIterable {
    /// The bytes are no image of the format.
    case imageInvalid
    /// The bytes are of a format that is not read.
    case formatUnsupported
    /// The image is larger than allowed.
    case imageTooLarge
    /// The image or video cannot be encoded.
    case encodingFailed
    /// A file cannot be read.
    case fileUnreadable
    /// A file cannot be written.
    case fileUnwritable
    /// There is no room for what is written.
    case diskFull
    /// ffmpeg or ffprobe is not there, or does not run.
    case ffmpegMissing
    /// This ffmpeg was built without the encoder.
    case encoderMissing
    /// A video or device cannot be opened or decoded.
    case videoUnreadable
    /// A source has no video.
    case videoStreamMissing
    /// A video ends in the middle of a frame.
    case videoCutShort
    /// The output would replace the input.
    case outputIsInput
    /// Writing was stopped before its end.
    case interrupted
  }

  /// The kind of failure, to decide what to do about it.
  public let code: Code
  /// The failure in words, with the values that clashed and how to mend it.
  public let message: String
  /// What led to it, where that was an error too.
  public let cause: (any Error)?

  /// Creates an error.
  public init(code: Code, message: String, cause: (any Error)? = nil) {
    self.code = code
    self.message = message
    self.cause = cause
  }

  /// The failure in words.
  public var description: String { message }
}

extension MediaError: Equatable {
  /// Whether two errors say the same; causes are not looked at.
  public static func == (lhs: Self, rhs: Self) -> Bool {
    lhs.code == rhs.code && lhs.message == rhs.message
  }
}

extension MediaError: LocalizedError {
  /// The failure in words.
  public var errorDescription: String? { message }
}

extension MediaError {
  /// A source that ffmpeg refuses, in its words.
  static func unreadable(_ source: VideoSource, reason: String) -> MediaError {
    let isEmpty = reason.contains("matches no streams") || reason.contains("does not contain any")
    if isEmpty {
      return MediaError(
        code: .videoStreamMissing, message: "cannot read \(source): it has no video stream")
    }
    let old = reason.contains("'fps_mode'") ? "ffmpeg is older than 5.1: " : ""
    return MediaError(
      code: .videoUnreadable,
      message: "cannot read \(source): \(old)\(source.withoutName(reason))")
  }
}
