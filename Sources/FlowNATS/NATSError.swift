public import Foundation

/// What went wrong between this process and a NATS server.
public struct NATSError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The kind of failure.
  public enum Code: Equatable, Sendable {
    /// The client library was not found.
    case libraryMissing
    /// The client library that was found is of a release that this package does not know.
    case libraryUnsupported
    /// An address, key or certificate cannot be used.
    case settingInvalid
    /// No server answers at the address.
    case unreachable
    /// The server does not let this client in.
    case notAuthorized
    /// The server did not answer in time; among others where it does not allow the request.
    case timeout
    /// Nobody is there to answer: a server without JetStream, a stream or consumer that is not.
    case noResponders
    /// The connection was closed.
    case closed
    /// A message is larger than the server takes.
    case tooLarge
    /// JetStream refuses a request, by its number for the reason.
    case refused(Int)
    /// What came is not what was stored: an object that is cut short or was changed.
    case damaged
    /// An answer is not understood.
    case answerInvalid
    /// A call of the client library failed otherwise.
    case callFailed
  }

  /// The kind of failure, to decide what to do about it.
  public let code: Code
  /// The failure in words, with the values that clashed and the remedy.
  public let message: String

  /// Creates an error.
  public init(_ code: Code, _ message: String) { (self.code, self.message) = (code, message) }

  /// The failure in words.
  public var description: String { message }
}

extension NATSError {
  /// Whether the server, and not the request, is at fault: the same may succeed later.
  public var isOfConnection: Bool {
    [.timeout, .closed, .noResponders, .unreachable].contains(code)
  }
}

extension NATSError: LocalizedError {
  /// The failure in words.
  public var errorDescription: String? { message }
}

extension NATSError.Code {
  /// A stream, or a subject of it, holds as many messages as it may.
  public static let full = Self.refused(10077)
  /// A message was to be the first of its subject, and is not.
  public static let wrongLastSequence = Self.refused(10071)
  /// There is no such stream.
  public static let streamMissing = Self.refused(10059)
  /// There is no such consumer.
  public static let consumerMissing = Self.refused(10014)
  /// A stream of that name has another configuration.
  public static let streamExists = Self.refused(10058)
}
