internal import HTTPTypes

/// What requests that came through a proxy looked like to its clients.
///
/// `X-Forwarded-For`, `-Proto`, `-Host` and `-Prefix`, and `Forwarded` (RFC 7239), are taken from
/// trusted proxies only: anybody else can write anything into them.
struct Forwarding: Sendable {
  /// A request as its client sent it.
  struct View: Sendable {
    /// Where the client reached the server.
    var url: PublicURL
    /// The host that the client named, where a proxy says it.
    var forwardedHost: String?
    /// The client's own address.
    var client: String?

    /// The hosts besides the `Host` header's that the request names.
    var hosts: [String?] { forwardedHost.map { [$0] } ?? [] }
  }

  /// Where all clients reach the server, if that was given at the start.
  let publicURL: PublicURL?
  let proxies: TrustedProxies

  /// Reads a request's headers.
  ///
  /// - Parameters:
  ///   - head: the request.
  ///   - remote: the address that it came from.
  /// - Throws: what is wrong with what a trusted proxy says.
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

  /// The nearest client that is no trusted proxy: what is further left is that client's own word.
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

  /// An address without the brackets and port that it may have; nil for a name.
  private static func address(_ text: String) -> String? {
    if Authority(host: text)?.address != nil { return text }
    guard let authority = Authority(text), authority.address != nil else { return nil }
    return authority.host
  }

  /// The nearest proxy's element of `Forwarded`, which is the last one.
  private static func element(_ text: String?) throws(ServerError) -> HeaderParameters? {
    guard let last = text?.split(separator: ",").last else { return nil }
    // Written like the parameters of a value, without the value.
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
