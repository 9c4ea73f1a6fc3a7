/// An error while a graph is compiled or run.
public struct EngineError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The kind of failure.
  public enum Code: Sendable, CaseIterable {
    /// The backend's runtime was not found.
    case runtimeMissing
    /// This package does not support the release of the runtime that was found.
    case runtimeUnsupported
    /// The requested device is not available.
    case deviceUnavailable
    /// The runtime does not accept the graph.
    case modelUnreadable
    /// The runtime cannot compile the graph for the device.
    case compilationFailed
    /// A run failed.
    case runFailed
    /// The shape or type of memory does not match.
    case shapeMismatch
    /// The engine cache's folder cannot be used.
    case cacheUnusable
  }

  /// The kind of failure, for programmatic handling.
  public let code: Code
  /// The message, with the conflicting values and a remedy.
  public let message: String

  /// Creates an error.
  ///
  /// Backends call this.
  ///
  /// - Parameters:
  ///   - code: the kind of failure.
  ///   - message: the message, with the conflicting values and a remedy.
  public init(code: Code, message: String) {
    self.code = code
    self.message = message
  }

  /// The message.
  public var description: String { message }
}
