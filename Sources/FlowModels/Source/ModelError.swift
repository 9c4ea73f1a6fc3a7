public import Foundation

/// What went wrong between a model's files and a picture.
public struct ModelError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The kind of failure.
  public enum Code: Sendable, CaseIterable {
    /// There is no model at a path, or a file of it is missing.
    case fileMissing
    /// A file of the model does not say what such a file must say.
    case fileInvalid
    /// The model asks for something that this version cannot do.
    case unsupported
    /// A request cannot be met: a size, a number of steps, a combination.
    case requestInvalid
    /// The machine has not the memory that the work needs.
    case memoryInsufficient
    /// An image contains NaN or infinity.
    case notFinite
  }

  /// The kind of failure, to decide what to do about it.
  public let code: Code
  /// The failure in words, with the values that clashed and how to mend it.
  public let message: String
  /// What to set otherwise, where that mends it.
  public let settings: [Setting]
  /// What caused it, where another part of the package did.
  public let cause: (any Error)?

  package init(
    code: Code, message: String, settings: [Setting] = [], cause: (any Error)? = nil
  ) {
    self.code = code
    self.message = message
    self.settings = settings
    self.cause = cause
  }

  /// Whether two errors are of one kind and say the same.
  public static func == (left: Self, right: Self) -> Bool {
    left.code == right.code && left.message == right.message
  }

  /// The failure in words.
  public var description: String { message }
}

extension ModelError: LocalizedError {
  /// The failure in words.
  public var errorDescription: String? { message }
}
