/// What went wrong between a tokenizer's files and tokens.
public struct TextError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The kind of failure.
  public enum Code: Sendable, CaseIterable {
    /// A file is absent or cannot be read.
    case fileUnreadable
    /// A file does not say what such a file must say.
    case tokenizerInvalid
  }

  /// The kind of failure, to decide what to do about it.
  public let code: Code
  /// The failure in words, with the file and how to mend it.
  public let message: String

  /// The failure in words.
  public var description: String { message }
}
