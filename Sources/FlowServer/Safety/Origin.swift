/// The origin of a page as in the header `Origin`: a scheme, a host and a port.
struct Origin: Hashable, Sendable {
  let scheme: String
  let authority: Authority

  /// The explicit port, or the scheme's default.
  var port: Int? { authority.port ?? Self.port(of: scheme) }

  /// Parses an origin; nil for `null` and for invalid ones.
  init?(_ text: String) {
    guard let end = text.firstRange(of: "://"),
      let authority = Authority(String(text[end.upperBound...]))
    else { return nil }
    let scheme = text[..<end.lowerBound].lowercased()
    guard let first = scheme.utf8.first, (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(first),
      scheme.utf8.allSatisfy(HeaderParameters.isToken)
    else { return nil }
    self.scheme = scheme
    self.authority = authority
  }

  /// Whether the page was served by the host of a `Host` header.
  ///
  /// If the header has no port, the scheme's default is meant.
  func isSame(as host: Authority) -> Bool {
    (scheme == "http" || scheme == "https") && authority.host == host.host
      && port == host.port ?? Self.port(of: scheme)
  }

  static func == (lhs: Self, rhs: Self) -> Bool {
    lhs.scheme == rhs.scheme && lhs.authority.host == rhs.authority.host && lhs.port == rhs.port
  }

  func hash(into hasher: inout Hasher) {
    hasher.combine(scheme)
    hasher.combine(authority.host)
    hasher.combine(port)
  }

  private static func port(of scheme: String) -> Int? {
    switch scheme {
    case "http": 80
    case "https": 443
    default: nil
    }
  }
}
