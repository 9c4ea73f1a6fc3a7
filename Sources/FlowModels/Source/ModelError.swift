public import Foundation

/// An error while a model is loaded or an image is generated.
public struct ModelError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The kind of failure.
  public enum Code: Sendable, CaseIterable {
    /// There is no model at a path, or a file of it is missing.
    case fileMissing
    /// The content of a model file is invalid.
    case fileInvalid
    /// The model requires something that this version does not support.
    case unsupported
    /// A request cannot be fulfilled: a size, a number of steps, a combination.
    case requestInvalid
    /// The machine does not have enough memory for the work.
    case memoryInsufficient
    /// An image contains NaN or infinity.
    case notFinite
  }

  /// The kind of failure, for programmatic handling.
  public let code: Code
  /// The message, with the conflicting values and a remedy.
  public let message: String
  /// The settings that can fix the failure.
  public let settings: [Setting]
  /// The underlying error of another part of the package, if any.
  public let cause: (any Error)?

  package init(
    code: Code, message: String, settings: [Setting] = [], cause: (any Error)? = nil
  ) {
    self.code = code
    self.message = message
    self.settings = settings
    self.cause = cause
  }

  /// Whether code and message of two errors are equal.
  public static func == (left: Self, right: Self) -> Bool {
    left.code == right.code && left.message == right.message
  }

  /// The message.
  public var description: String { message }
}

extension ModelError: LocalizedError {
  /// The message.
  public var errorDescription: String? { message }
}
