internal import Foundation

/// A host and a port as in a `Host` header or an origin: `localhost:8188`, `[::1]`.
struct Authority: Hashable, Sendable {
  /// A name in lower case without a final dot, or an address without brackets.
  let host: String
  let port: Int?
  /// The bytes of an address: 4 or 16 of them; nil for a name.
  let address: [UInt8]?

  /// Parses a host and a port; nil if it is neither a name nor an address.
  init?(_ text: String) {
    let host: Substring
    let rest: Substring
    if text.hasPrefix("[") {
      guard let end = text.firstIndex(of: "]") else { return nil }
      host = text[text.index(after: text.startIndex)..<end]
      rest = text[text.index(after: end)...]
      guard host.contains(":"), !host.contains("%") else { return nil }
    } else {
      let end = text.firstIndex(of: ":") ?? text.endIndex
      host = text[..<end]
      rest = text[end...]
    }
    guard let port = Self.port(rest) else { return nil }
    self.init(host, port: port)
  }

  /// Parses a host alone, as in the option to listen at; an address needs no brackets here.
  init?(host text: String) {
    let isBracketed = text.hasPrefix("[") && text.hasSuffix("]")
    self.init(isBracketed ? text.dropFirst().dropLast() : text[...], port: nil)
  }

  private init?(_ text: Substring, port: Int?) {
    guard text.utf8.allSatisfy({ $0 < 0x80 }) else { return nil }
    let host = (text.hasSuffix(".") ? text.dropLast() : text).lowercased()
    address = Self.address(host)
    guard address != nil || Self.isName(host) else { return nil }
    self.host = host
    self.port = port
  }

  /// Whether it is a loopback address or name.
  var isLoopback: Bool {
    guard let address else { return host == "localhost" }
    if address.count == 4 { return address[0] == 127 }
    let mapped = Array(repeating: UInt8(0), count: 10) + [0xFF, 0xFF]
    return address.dropLast().allSatisfy { $0 == 0 } && address.last == 1
      || Array(address.prefix(12)) == mapped && address[12] == 127
  }

  /// The optional port after a colon; nil for an invalid port.
  private static func port(_ text: Substring) -> Int?? {
    guard !text.isEmpty else { return .some(nil) }
    guard text.hasPrefix(":") else { return nil }
    let digits = text.dropFirst()
    guard !digits.isEmpty else { return .some(nil) }
    guard digits.utf8.allSatisfy((UInt8(ascii: "0")...UInt8(ascii: "9")).contains),
      digits.utf8.count <= 5, let port = Int(digits), port <= 65_535
    else { return nil }
    return port
  }

  private static func isName(_ text: String) -> Bool {
    (1...253).contains(text.utf8.count)
      && text.utf8.allSatisfy {
        switch $0 {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
          UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"):
          true
        default: false
        }
      }
  }

  private static func address(_ text: String) -> [UInt8]? {
    // The system's parser stops at a zero byte, and accepts non-standard forms.
    guard text.utf8.allSatisfy({ "0123456789abcdef:.".utf8.contains($0) }) else { return nil }
    var v4 = in_addr()
    if unsafe inet_pton(AF_INET, text, &v4) == 1 {
      return unsafe withUnsafeBytes(of: v4) { unsafe Array($0) }
    }
    var v6 = in6_addr()
    guard unsafe inet_pton(AF_INET6, text, &v6) == 1 else { return nil }
    return unsafe withUnsafeBytes(of: v6) { unsafe Array($0) }
  }
}
