internal import FlowDigest

/// The hash that a result names its image's file by.
enum ImageDigest {
  /// SHA-256 in hexadecimal digits.
  ///
  /// - Throws: `DigestError` where the system has no library for it.
  static func text(of bytes: [UInt8]) throws(DigestError) -> String {
    try MessageDigest.sha256(of: bytes).digits
  }
}
