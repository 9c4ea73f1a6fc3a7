internal import FlowModels
public import Foundation
internal import StreamFlow

/// Which hub is asked, and with whose token.
public struct HubAccess: Sendable {
  /// Where the hub is, without a slash at the end.
  let endpoint: String
  let origin: Origin
  let token: String?

  /// Reads `$HF_ENDPOINT`, `$HF_TOKEN` or else the token file, and `$HF_HUB_OFFLINE`.
  ///
  /// - Throws: ``HubError`` where the network is not to be used, or a value is unusable.
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
        "HF_ENDPOINT '\(endpoint)' is no address of a hub; expected one like https://huggingface.co"
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
    // It becomes a header: a line end in it would begin another one.
    guard token.utf8.allSatisfy({ (33...126).contains($0) }) else {
      throw HubError(
        .requestInvalid, "\(place) holds no token: it has spaces or signs that no token has")
    }
    return token
  }
}

/// What a token may be sent to: a scheme, a host and a port.
struct Origin: Equatable, Sendable {
  let scheme: String
  let host: String
  let port: Int

  /// The origin of an address of HTTP; nil for any other.
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
