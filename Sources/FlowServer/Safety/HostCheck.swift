/// The host names of the server, and the origins whose pages may use it.
///
/// A page of any site can make its own name point at this machine (DNS rebinding) and then read the
/// server's responses; the name in `Host` reveals this. An IP address there never belongs to such a
/// page, nor does `localhost`, which browsers resolve themselves.
struct HostCheck: Sendable {
  private let isLoopback: Bool
  private let hosts: [Authority]
  private let origins: Set<Origin>
  /// The origin of the server's own page behind a proxy.
  private let publicOrigin: Origin?

  /// Creates a check.
  ///
  /// - Parameters:
  ///   - boundHost: the address or name that the server listens at.
  ///   - hostNames: further names, with a port to accept only that port.
  ///   - origins: the origins of other pages that may use the server, such as
  ///     `https://example.com`.
  ///   - publicURL: the address at which clients reach the server through a proxy.
  init(
    boundHost: String, hostNames: [String] = [], origins: [String] = [],
    publicURL: PublicURL? = nil
  ) throws(HostCheckError) {
    let bound = Authority(host: boundHost)
    isLoopback = bound?.isLoopback ?? false
    var hosts = bound.map { [$0] } ?? []
    for name in hostNames {
      guard let host = Authority(name) ?? Authority(host: name) else {
        throw HostCheckError(
          "a host is a name or an address such as studio.local or 192.168.1.5, got '\(name)'")
      }
      hosts.append(host)
    }
    if let url = publicURL, let host = Authority(url.host) { hosts.append(host) }
    publicOrigin = publicURL.flatMap { Origin("\($0.scheme)://\($0.host)") }
    self.hosts = hosts
    var found: Set<Origin> = []
    for text in origins {
      guard let origin = Origin(text.hasSuffix("/") ? String(text.dropLast()) : text) else {
        throw HostCheckError(
          "an origin is a scheme and a host such as https://example.com, got '\(text)'")
      }
      found.insert(origin)
    }
    self.origins = found
  }

  /// Whether a `Host` header is acceptable.
  func allows(host text: String?) -> Bool {
    guard let text, let host = Authority(text) else { return false }
    if host.isLoopback || !isLoopback && host.address != nil { return true }
    return hosts.contains { $0.host == host.host && ($0.port == nil || $0.port == host.port) }
  }

  /// Whether pages of an origin may send requests; requests without an origin are not from pages.
  ///
  /// - Parameters:
  ///   - origin: the `Origin` header.
  ///   - host: the `Host` header.
  func allows(origin: String?, host: String?) -> Bool {
    guard let text = origin, !isNamed(origin: text) else { return true }
    guard let origin = Origin(text) else { return false }
    if origin == publicOrigin { return true }
    guard let host, let authority = Authority(host) else { return false }
    return origin.isSame(as: authority)
  }

  /// Whether an origin is one of the configured ones, whose pages may read responses.
  func isNamed(origin text: String) -> Bool { Origin(text).map(origins.contains) ?? false }

  /// The message for a rejected host.
  func refusal(host: String?) -> String {
    guard let host else { return "the request has no Host header" }
    return "the server does not answer to the host \(MultipartError.quote(host)); if "
      + "this is its name, the operator must allow it"
  }

  /// The message for a rejected origin.
  func refusal(origin: String) -> String {
    "pages of the origin \(MultipartError.quote(origin)) may not use the server; if "
      + "they should, the operator must allow it"
  }
}

/// An error in the configured host names or origins.
struct HostCheckError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The failure in words.
  let message: String

  init(_ message: String) { self.message = message }

  var description: String { message }
}
