/// What went wrong between weights on disk and a graph.
public struct GraphError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The kind of failure.
  public enum Code: Sendable, CaseIterable {
    /// A file is absent or cannot be read.
    case fileUnreadable
    /// A weights file does not say what such a file must say.
    case weightsInvalid
    /// No weight has the name that a layer asks for.
    case weightMissing
    /// Shapes or element types do not fit each other.
    case shapeMismatch
    /// A weight that is used has elements of a type that cannot be read.
    case typeUnsupported
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
