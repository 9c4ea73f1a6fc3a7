public import Foundation

/// An error while images or videos are read, written or converted.
public struct MediaError: Error, Sendable, CustomStringConvertible {
  /// The kind of failure.
  public enum Code: Sendable, CaseIterable {
    /// The bytes are not a valid image.
    case imageInvalid
    /// The format is not supported.
    case formatUnsupported
    /// The image is larger than allowed.
    case imageTooLarge
    /// The image or video cannot be encoded.
    case encodingFailed
    /// A file cannot be read.
    case fileUnreadable
    /// A file cannot be written.
    case fileUnwritable
    /// The disk is full.
    case diskFull
    /// ffmpeg or ffprobe is missing, or cannot be run.
    case ffmpegMissing
    /// This ffmpeg was built without the encoder.
    case encoderMissing
    /// A video or device cannot be opened or decoded.
    case videoUnreadable
    /// A source has no video stream.
    case videoStreamMissing
    /// A video ends in the middle of a frame.
    case videoCutShort
    /// The output would replace the input.
    case outputIsInput
    /// Writing was stopped before the end.
    case interrupted
  }

  /// The kind of failure, for programmatic handling.
  public let code: Code
  /// The message, with the conflicting values and a remedy.
  public let message: String
  /// The underlying error, if any.
  public let cause: (any Error)?

  /// Creates an error.
  public init(code: Code, message: String, cause: (any Error)? = nil) {
    self.code = code
    self.message = message
    self.cause = cause
  }

  /// The message.
  public var description: String { message }
}

extension MediaError: Equatable {
  /// Whether code and message of two errors are equal; causes are ignored.
  public static func == (lhs: Self, rhs: Self) -> Bool {
    lhs.code == rhs.code && lhs.message == rhs.message
  }
}

extension MediaError: LocalizedError {
  /// The message.
  public var errorDescription: String? { message }
}
