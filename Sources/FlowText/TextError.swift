/// An error in a tokenizer's files.
public struct TextError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The kind of failure.
  public enum Code: Sendable, CaseIterable {
    /// A file is absent or cannot be read.
    case fileUnreadable
    /// The content of a file is invalid.
    case tokenizerInvalid
  }

  /// The kind of failure, for programmatic handling.
  public let code: Code
  /// The message, with the file and a remedy.
  public let message: String

  /// The message.
  public var description: String { message }
}
