public import Foundation

/// What is wrong with how a server is set up.
public struct ServerSetupError: Error, Sendable, CustomStringConvertible {
  /// Something that a user sets, and that another value of mends a failure.
  public enum Setting: Sendable, CaseIterable {
    /// The file with the token of clients.
    case tokenFile
    /// The address that is listened at.
    case host
    /// The port that is listened at.
    case port
  }

  /// The failure in words, with how to mend it.
  public let message: String
  /// What to set otherwise, where that mends it.
  public let settings: [Setting]

  init(_ message: String, settings: [Setting] = []) {
    self.message = message
    self.settings = settings
  }

  /// The failure in words.
  public var description: String { message }
}

extension ServerSetupError: LocalizedError {
  /// The failure in words.
  public var errorDescription: String? { message }
}

/// Why a server ends: none of its models can be read.
public struct ModelsUnavailable: Error, Sendable, CustomStringConvertible {
  /// The failure in words, of each model.
  public let message: String
  /// Why the first model cannot be read.
  public let cause: any Error

  init(_ failures: [(name: String, message: String)], cause: any Error) {
    message =
      failures.count == 1
      ? "cannot load the model '\(failures[0].name)': \(failures[0].message)"
      : "cannot load any model: "
        + failures.map { "'\($0.name)': \($0.message)" }.joined(separator: "; ")
    self.cause = cause
  }

  /// The failure in words.
  public var description: String { message }
}

extension ModelsUnavailable: LocalizedError {
  /// The failure in words.
  public var errorDescription: String? { message }
}
