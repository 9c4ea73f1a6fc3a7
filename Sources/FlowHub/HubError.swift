internal import FlowModels
public import Foundation
internal import StreamFlow

/// What went wrong between a hub and the cache.
public struct HubError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The kind of failure.
  public enum Code: Sendable, CaseIterable {
    /// A name, a revision, an endpoint or a token that cannot be one.
    case requestInvalid
    /// The network is not to be used.
    case offline
    /// The hub wants a token, or refuses the one it got.
    case accessDenied
    /// There is no such repository, revision or file.
    case notFound
    /// The hub cannot be reached, or goes on failing.
    case unavailable
    /// The hub's answer is not what such an answer must be.
    case answerInvalid
    /// What was downloaded is not what the hub said it is.
    case contentMismatch
    /// The repository has no files that this package reads, or more than one choice of them.
    case filesUnclear
    /// There is not enough room on the disk.
    case diskFull
    /// The cache cannot be written.
    case cacheUnwritable
  }

  /// Something that a user sets, and that another value of mends a failure.
  public enum Setting: Sendable, CaseIterable {
    /// The branch, tag or commit.
    case revision
    /// The patterns of the files that are wanted.
    case files
  }

  /// The kind of failure, to decide what to do about it.
  public let code: Code
  /// The failure in words, with the values that clashed and how to mend it.
  public let message: String
  /// What to set otherwise, where that mends it.
  public let settings: [Setting]

  init(_ code: Code, _ message: String, settings: [Setting] = []) {
    self.settings = settings
    self.code = code
    // Names and answers of a hub are a stranger's words.
    self.message = message.printable
  }

  /// The failure in words.
  public var description: String { message }
}

extension HubError: LocalizedError {
  /// The failure in words.
  public var errorDescription: String? { message }
}

/// A failure that may be gone at the next attempt.
struct TransientFailure: Error {
  let reason: String
  /// How long the hub asks to be left alone.
  var retryAfter: Duration?

  init(reason: String, retryAfter: Duration? = nil) {
    self.reason = reason.printable
    self.retryAfter = retryAfter
  }
}

/// Contents that are not those that were promised.
struct Mismatch: Error {
  let problem: String
}
