internal import FlowModels
public import Foundation
internal import StreamFlow

/// The hub's address and the access token.
public struct HubAccess: Sendable {
  /// The hub's address, without a trailing slash.
  let endpoint: String
  let origin: Origin
  let token: String?

  /// Reads `$HF_ENDPOINT`, `$HF_TOKEN` or else the token file, and `$HF_HUB_OFFLINE`.
  ///
  /// - Throws: ``HubError`` if the network must not be used or a value is invalid.
  public init(
    environment: [String: String] = ProcessInfo.processInfo.environment
  ) throws(HubError) {
    let offline = environment["HF_HUB_OFFLINE"] ?? ""
    guard !["1", "ON", "YES", "TRUE"].contains(offline.uppercased()) else {
      throw HubError(
        .offline,
        "HF_HUB_OFFLINE is '\(offline)', so nothing is downloaded; unset it to pull models")
    }
    var endpoint = environment["HF_ENDPOINT"] ?? ""
    if endpoint.isEmpty { endpoint = "https://huggingface.co" }
    while endpoint.hasSuffix("/") { endpoint.removeLast() }
    guard let url = URL(string: endpoint), let origin = Origin(url), url.query == nil,
      url.fragment == nil, url.user == nil
    else {
      throw HubError(
        .requestInvalid,
        "HF_ENDPOINT '\(endpoint)' is not a hub address; expected one such as "
          + "https://huggingface.co"
      )
    }
    self.endpoint = url.withLowercaseScheme.absoluteString
    self.origin = origin
    token = try Self.token(in: environment)
  }

  private static func token(in environment: [String: String]) throws(HubError) -> String? {
    let path = HubCache(environment: environment).tokenPath
    var place = "HF_TOKEN"
    var token = (environment[place] ?? "").trimmingCharacters(in: .whitespacesAndNewlines)
    if token.isEmpty {
      guard let data = FileManager.default.contents(atPath: path) else { return nil }
      place = "'\(path)'"
      token = String(decoding: data, as: UTF8.self)
        .trimmingCharacters(in: .whitespacesAndNewlines.union(["\u{feff}"]))
    }
    guard !token.isEmpty else { return nil }
    // The token becomes a header; a line end in it would start another header.
    guard token.utf8.allSatisfy({ (33...126).contains($0) }) else {
      throw HubError(
        .requestInvalid,
        "\(place) does not contain a valid token: it has spaces or invalid characters")
    }
    return token
  }
}

/// The target that a token may be sent to: a scheme, a host and a port.
struct Origin: Equatable, Sendable {
  let scheme: String
  let host: String
  let port: Int

  /// The origin of an HTTP address; nil for any other.
  init?(_ url: URL) {
    guard let scheme = url.scheme?.lowercased(), let host = url.host()?.lowercased(),
      !host.isEmpty, let standard = ["https": 443, "http": 80][scheme]
    else { return nil }
    self.scheme = scheme
    self.host = host
    port = url.port ?? standard
  }
}

extension URL {
  /// The same address with its scheme in lower case, as URLSession on Linux expects it.
  var withLowercaseScheme: URL {
    guard let scheme, scheme != scheme.lowercased(),
      var components = URLComponents(url: self, resolvingAgainstBaseURL: true)
    else { return self }
    components.scheme = scheme.lowercased()
    return components.url ?? self
  }
}
