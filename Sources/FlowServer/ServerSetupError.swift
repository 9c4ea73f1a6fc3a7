public import Foundation

/// An error in the configuration of a server.
public struct ServerSetupError: Error, Sendable, CustomStringConvertible {
  /// A user's setting that can fix a failure.
  public enum Setting: Sendable, CaseIterable {
    /// The file of the clients' token.
    case tokenFile
    /// The address to listen at.
    case host
    /// The port to listen at.
    case port
  }

  /// The message with a remedy.
  public let message: String
  /// The settings that can fix the failure.
  public let settings: [Setting]

  init(_ message: String, settings: [Setting] = []) {
    self.message = message
    self.settings = settings
  }

  /// The message.
  public var description: String { message }
}

extension ServerSetupError: LocalizedError {
  /// The message.
  public var errorDescription: String? { message }
}

/// The error of a server none of whose models can be loaded.
public struct ModelsUnavailable: Error, Sendable, CustomStringConvertible {
  /// The message, with the failure of each model.
  public let message: String
  /// The failure of the first model.
  public let cause: any Error

  init(_ failures: [(name: String, message: String)], cause: any Error) {
    message =
      failures.count == 1
      ? "cannot load the model '\(failures[0].name)': \(failures[0].message)"
      : "cannot load any model: "
        + failures.map { "'\($0.name)': \($0.message)" }.joined(separator: "; ")
    self.cause = cause
  }

  /// The message.
  public var description: String { message }
}

extension ModelsUnavailable: LocalizedError {
  /// The message.
  public var errorDescription: String? { message }
}
