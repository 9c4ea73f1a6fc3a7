/// The address at which clients reach a server: a scheme, a host and port, and a path prefix.
struct PublicURL: Equatable, Sendable, CustomStringConvertible {
  let scheme: String
  /// The host, with its port unless it is the scheme's default.
  let host: String
  /// Empty, or a path such as `/streamflow` without a final slash.
  let prefix: String

  init(scheme: String, host: String, prefix: String = "") {
    self.scheme = scheme
    self.host = host
    self.prefix = prefix
  }

  /// Parses an address such as `https://example.org/streamflow`.
  init?(_ text: String) {
    guard let end = text.firstRange(of: "://") else { return nil }
    let rest = text[end.upperBound...]
    let slash = rest.firstIndex(of: "/") ?? rest.endIndex
    guard let scheme = Self.scheme(text[..<end.lowerBound]),
      Authority(String(rest[..<slash])) != nil, let prefix = Self.prefix(rest[slash...])
    else { return nil }
    self.init(scheme: scheme, host: String(rest[..<slash]), prefix: prefix)
  }

  /// Parses a configured address.
  init(validating text: String) throws(HostCheckError) {
    guard let url = PublicURL(text) else {
      throw HostCheckError(
        "a public URL is a scheme, a host and a path such as https://example.org/streamflow, got "
          + "'\(text)'")
    }
    self = url
  }

  /// A scheme in lower case; nil unless it is HTTP or HTTPS.
  static func scheme(_ text: some StringProtocol) -> String? {
    let scheme = text.lowercased()
    return scheme == "http" || scheme == "https" ? scheme : nil
  }

  /// A path without its final slash; nil for an invalid path.
  static func prefix(_ text: some StringProtocol) -> String? {
    let path = text.hasSuffix("/") ? String(text.dropLast()) : String(text)
    guard !path.isEmpty else { return "" }
    let isPlain = path.utf8.allSatisfy {
      switch $0 {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."),
        UInt8(ascii: "_"), UInt8(ascii: "~"), UInt8(ascii: "/"):
        true
      default: false
      }
    }
    let parts = path.split(separator: "/", omittingEmptySubsequences: false).dropFirst()
    guard isPlain, path.hasPrefix("/"), path.utf8.count <= 200,
      !parts.contains(where: { $0.isEmpty || $0 == "." || $0 == ".." })
    else { return nil }
    return path
  }

  /// A request's path without the prefix, which some proxies remove and others keep.
  func path(_ uri: String) -> String {
    guard !prefix.isEmpty, uri.hasPrefix(prefix + "/") else { return uri }
    return String(uri.dropFirst(prefix.count))
  }

  /// The full address of a path of the server.
  func address(_ path: String) -> String { "\(self)\(path)" }

  var description: String { "\(scheme)://\(host)\(prefix)" }
}
