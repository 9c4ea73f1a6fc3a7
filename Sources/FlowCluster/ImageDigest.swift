internal import Crypto

/// The hash that a result names its image's file by.
enum ImageDigest {
  /// SHA-256 in hexadecimal digits.
  static func text(of bytes: [UInt8]) -> String {
    SHA256.hash(data: bytes).map { byte in
      String(byte >> 4, radix: 16) + String(byte & 15, radix: 16)
    }.joined()
  }
}
