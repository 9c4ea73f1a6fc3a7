/// What went wrong between a picture in memory and a file.
public struct MediaError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The kind of failure.
  public enum Code: Sendable {
    /// The bytes are no picture of the format.
    case pictureInvalid
    /// The bytes are of a format that is not read.
    case formatUnsupported
    /// The picture is larger than allowed.
    case pictureTooLarge
    /// The picture cannot be encoded.
    case encodingFailed
    /// A file cannot be read.
    case fileUnreadable
    /// A file cannot be written.
    case fileUnwritable
  }

  /// The kind of failure, to decide what to do about it.
  public let code: Code
  /// The failure in words, with the values that clashed and how to mend it.
  public let message: String

  /// Creates an error.
  public init(code: Code, message: String) {
    self.code = code
    self.message = message
  }

  /// The failure in words.
  public var description: String { message }
}
