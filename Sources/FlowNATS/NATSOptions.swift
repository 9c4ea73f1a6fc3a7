internal import Foundation

/// How a server is reached.
public struct NATSOptions: Sendable {
  /// The address, such as `nats://127.0.0.1:4222` or, with TLS, `tls://host:4222`; several of one
  /// cluster with commas between them.
  public var url: String
  /// What the server's monitoring calls this client.
  public var name: String
  /// A file of the authorities that the server's certificate must come from; the system's where nil.
  public var authorityFile: String?
  /// The file of the seed of an nkey user, which nobody else may be able to read.
  public var seedFile: String?
  /// The first tokens of subjects that answers come to; a user may be allowed its own alone.
  public var inboxPrefix = "_INBOX"
  /// How long connecting and a request take at most.
  public var timeout = Duration.seconds(5)

  /// Creates the options of an address.
  public init(url: String, name: String) { (self.url, self.name) = (url, name) }

  /// Whether the connection is encrypted.
  var isSecure: Bool { authorityFile != nil || url.hasPrefix("tls://") }

  /// The address without a password, for messages.
  var place: String {
    url.split(separator: ",").map { part in
      guard let at = part.lastIndex(of: "@"), let scheme = part.range(of: "://") else {
        return String(part)
      }
      return String(part[..<scheme.upperBound] + part[part.index(after: at)...])
    }.joined(separator: ",")
  }
}
