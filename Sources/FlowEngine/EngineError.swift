/// What went wrong between a graph and its outputs.
public struct EngineError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The kind of failure.
  public enum Code: Sendable, CaseIterable {
    /// The backend's runtime was not found.
    case runtimeMissing
    /// The runtime that was found is of a release that this package does not know.
    case runtimeUnsupported
    /// The device that was asked for is not there.
    case deviceUnavailable
    /// The runtime does not accept the graph.
    case modelUnreadable
    /// The runtime cannot compile the graph for the device.
    case compilationFailed
    /// A run failed.
    case runFailed
    /// Memory of one shape or type was offered for another.
    case shapeMismatch
    /// The engine cache's folder cannot be used.
    case cacheUnusable
  }

  /// The kind of failure, to decide what to do about it.
  public let code: Code
  /// The failure in words, with the values that clashed and how to mend it.
  public let message: String

  /// Creates an error; a backend does.
  ///
  /// - Parameters:
  ///   - code: the kind of failure.
  ///   - message: the failure in words, with the values that clashed and the remedy.
  public init(code: Code, message: String) {
    self.code = code
    self.message = message
  }

  /// The failure in words.
  public var description: String { message }
}
