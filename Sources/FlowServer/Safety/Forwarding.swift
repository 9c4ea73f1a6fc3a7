internal import HTTPTypes

/// Reconstructs requests as the clients of a proxy sent them.
///
/// `X-Forwarded-For`, `-Proto`, `-Host` and `-Prefix`, and `Forwarded` (RFC 7239), are accepted
/// from trusted proxies only: any other client could forge them.
struct Forwarding: Sendable {
  /// A request as its client sent it.
  struct View: Sendable {
    /// The address at which the client reached the server.
    var url: PublicURL
    /// The host that the client requested, if a proxy forwards it.
    var forwardedHost: String?
    /// The client's own address.
    var client: String?

    /// The hosts that the request names besides the `Host` header.
    var hosts: [String?] { forwardedHost.map { [$0] } ?? [] }
  }

  /// The address at which all clients reach the server, if configured.
  let publicURL: PublicURL?
  let proxies: TrustedProxies

  /// Evaluates a request's headers.
  ///
  /// - Parameters:
  ///   - head: the request.
  ///   - remote: the address of the connection.
  /// - Throws: an error for invalid headers of a trusted proxy.
  func view(of head: HTTPRequest, from remote: String?) throws(ServerError) -> View {
    var view = View(
      url: publicURL ?? PublicURL(scheme: "http", host: head.authority ?? ""), client: remote)
    guard isTrusted(remote) else { return view }
    let fields = head.headerFields
    let element = try Self.element(fields[.forwarded])
    view.client = client(fields, element: element) ?? remote
    view.forwardedHost = element?["host"] ?? Self.first(fields[.forwardedHost])
    guard publicURL == nil else { return view }
    let scheme = element?["proto"] ?? Self.first(fields[.forwardedProtocol]) ?? "http"
    let prefix = Self.first(fields[.forwardedPrefix]) ?? ""
    guard let scheme = PublicURL.scheme(scheme) else {
      throw Self.invalid("the scheme \(MultipartError.quote(scheme))", "http or https")
    }
    guard let prefix = PublicURL.prefix(prefix) else {
      throw Self.invalid("the prefix \(MultipartError.quote(prefix))", "a path such as /streamflow")
    }
    view.url = PublicURL(
      scheme: scheme, host: view.forwardedHost ?? head.authority ?? "", prefix: prefix)
    return view
  }

  private func isTrusted(_ remote: String?) -> Bool {
    remote.flatMap { Authority(host: $0)?.address }.map(proxies.contains) ?? false
  }

  /// The nearest client that is not a trusted proxy; entries further left are that client's own
  /// claim.
  private func client(_ fields: HTTPFields, element: HeaderParameters?) -> String? {
    let chain =
      fields[.forwardedFor]?.split(separator: ",").map {
        $0.drop { $0 == " " || $0 == "\t" }.prefix { $0 != " " && $0 != "\t" }
      } ?? []
    for hop in chain.reversed() where !isTrusted(Self.address(String(hop))) {
      return Self.address(String(hop))
    }
    return element?["for"].flatMap { Self.address($0) }
  }

  /// An address without brackets and port; nil for a name.
  private static func address(_ text: String) -> String? {
    if Authority(host: text)?.address != nil { return text }
    guard let authority = Authority(text), authority.address != nil else { return nil }
    return authority.host
  }

  /// The nearest proxy's element of `Forwarded`, which is the last one.
  private static func element(_ text: String?) throws(ServerError) -> HeaderParameters? {
    guard let last = text?.split(separator: ",").last else { return nil }
    // The syntax is that of a value's parameters, without the value.
    do { return try HeaderParameters("-;\(last)", of: "Forwarded") } catch {
      throw ServerError(.badRequest, "forwarded_invalid", error.message)
    }
  }

  private static func first(_ text: String?) -> String? {
    let first = text?.split(separator: ",").first?.split(separator: " ").first
    return first.map(String.init)
  }

  private static func invalid(_ what: String, _ expected: String) -> ServerError {
    ServerError(
      .badRequest, "forwarded_invalid", "the proxy forwards \(what); expected \(expected)")
  }
}

extension HTTPField.Name {
  fileprivate static let forwarded = Self("Forwarded") ?? .date
  fileprivate static let forwardedFor = Self("X-Forwarded-For") ?? .date
  fileprivate static let forwardedHost = Self("X-Forwarded-Host") ?? .date
  fileprivate static let forwardedPrefix = Self("X-Forwarded-Prefix") ?? .date
  fileprivate static let forwardedProtocol = Self("X-Forwarded-Proto") ?? .date
}
