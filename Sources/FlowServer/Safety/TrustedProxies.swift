/// The addresses of trusted proxies, whose forwarding headers are accepted.
struct TrustedProxies: Sendable {
  private struct Network: Sendable {
    let address: [UInt8]
    let bitCount: Int

    func contains(_ other: [UInt8]) -> Bool {
      guard other.count == address.count else { return false }
      let (whole, rest) = (bitCount / 8, bitCount % 8)
      guard other.prefix(whole) == address.prefix(whole) else { return false }
      return rest == 0 || (other[whole] ^ address[whole]) >> UInt8(8 - rest) == 0
    }
  }

  private let networks: [Network]

  /// No proxies.
  static let none = TrustedProxies()

  private init() { networks = [] }

  /// Parses addresses and networks.
  ///
  /// - Parameter texts: each an address such as `127.0.0.1`, or a network such as `10.0.0.0/8`.
  init(_ texts: [String]) throws(HostCheckError) {
    var networks: [Network] = []
    for text in texts {
      let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
      guard let address = Authority(host: String(parts[0]))?.address,
        let bitCount = parts.count == 1 ? address.count * 8 : Int(parts[1]),
        (0...address.count * 8).contains(bitCount)
      else {
        throw HostCheckError(
          "a proxy is an address such as 127.0.0.1 or a network such as 10.0.0.0/8, got '\(text)'")
      }
      networks.append(Network(address: address, bitCount: bitCount))
    }
    self.networks = networks
  }

  /// Whether an address is a proxy's; an IPv4-mapped IPv6 address counts as the IPv4 address.
  func contains(_ address: [UInt8]) -> Bool {
    let plain = Self.unmapped(address)
    return networks.contains { $0.contains(address) || $0.contains(plain) }
  }

  /// The IPv4 address that an IPv6 address maps, or the address itself.
  static func unmapped(_ address: [UInt8]) -> [UInt8] {
    let prefix = Array(repeating: UInt8(0), count: 10) + [0xFF, 0xFF]
    return address.count == 16 && address.starts(with: prefix) ? Array(address.suffix(4)) : address
  }
}
