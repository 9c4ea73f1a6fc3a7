/// An error in weights or in a graph made of them.
public struct GraphError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The kind of failure.
  public enum Code: Sendable, CaseIterable {
    /// A file is absent or cannot be read.
    case fileUnreadable
    /// The content of a weights file is invalid.
    case weightsInvalid
    /// A weight that a layer requires is missing.
    case weightMissing
    /// Shapes or element types do not match.
    case shapeMismatch
    /// The element type of a weight that is used is not supported.
    case typeUnsupported
  }

  /// The kind of failure, for programmatic handling.
  public let code: Code
  /// The message, with the conflicting values and a remedy.
  public let message: String

  /// Creates an error.
  public init(code: Code, message: String) {
    self.code = code
    self.message = message
  }

  /// The message.
  public var description: String { message }
}
