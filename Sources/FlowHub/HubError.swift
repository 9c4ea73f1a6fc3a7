internal import FlowModels
public import Foundation
internal import StreamFlow

/// An error while a model is downloaded.
public struct HubError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The kind of failure.
  public enum Code: Sendable, CaseIterable {
    /// Invalid name, revision, endpoint or token.
    case requestInvalid
    /// Network use is disabled.
    case offline
    /// The hub requires a token, or rejects the one it got.
    case accessDenied
    /// The repository, revision or file does not exist.
    case notFound
    /// The hub cannot be reached, or keeps failing.
    case unavailable
    /// The hub's response is invalid.
    case answerInvalid
    /// The download does not match the hub's description.
    case contentMismatch
    /// The repository has no files that this package reads, or several sets of them.
    case filesUnclear
    /// The disk has not enough room.
    case diskFull
    /// The cache cannot be written.
    case cacheUnwritable
  }

  /// A user's setting that can fix a failure.
  public enum Setting: Sendable, CaseIterable {
    /// The branch, tag or commit.
    case revision
    /// The patterns of the requested files.
    case files
  }

  /// The kind of failure, for programmatic handling.
  public let code: Code
  /// The message, with the conflicting values and a remedy.
  public let message: String
  /// The settings that can fix the failure.
  public let settings: [Setting]

  init(_ code: Code, _ message: String, settings: [Setting] = []) {
    self.settings = settings
    self.code = code
    // Names and responses of a hub are untrusted text.
    self.message = message.printable
  }

  /// The message.
  public var description: String { message }
}

extension HubError: LocalizedError {
  /// The message.
  public var errorDescription: String? { message }
}

/// A failure after which another attempt may succeed.
struct TransientFailure: Error {
  let reason: String
  /// The delay that the hub requests.
  var retryAfter: Duration?

  init(reason: String, retryAfter: Duration? = nil) {
    self.reason = reason.printable
    self.retryAfter = retryAfter
  }
}

/// Contents that do not match their description.
struct Mismatch: Error {
  let problem: String
}
