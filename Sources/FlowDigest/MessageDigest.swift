#if canImport(CryptoKit)
  internal import CryptoKit
#endif

/// An incremental message digest: SHA-256, or the SHA-1 that names git's objects.
///
/// CryptoKit computes it on Apple systems, OpenSSL's libcrypto elsewhere.
package struct MessageDigest: Sendable {
  /// The digest's function.
  package enum Function: Sendable {
    /// 32 bytes.
    case sha256
    /// 20 bytes. It does not resist forgery: for git's names only.
    case sha1
  }

  #if canImport(CryptoKit)
    private var state: any HashFunction & Sendable
  #else
    private var state: DigestContext
  #endif

  /// Starts a digest of no bytes.
  ///
  /// - Throws: `DigestError` where the system's library is absent.
  package init(_ function: Function) throws(DigestError) {
    #if canImport(CryptoKit)
      state = function == .sha256 ? SHA256() : Insecure.SHA1()
    #else
      state = try DigestContext(function)
    #endif
  }

  /// Adds bytes.
  package mutating func update(_ bytes: Span<UInt8>) {
    #if !canImport(CryptoKit)
      if !isKnownUniquelyReferenced(&state) { state = state.copy() }
    #endif
    unsafe bytes.withUnsafeBytes { bytes in
      #if canImport(CryptoKit)
        unsafe state.update(bufferPointer: bytes)
      #else
        unsafe state.update(bytes)
      #endif
    }
  }

  /// The digest of all bytes so far; more may follow.
  package var bytes: [UInt8] {
    #if canImport(CryptoKit)
      Array(state.finalize())
    #else
      state.copy().finish()
    #endif
  }

  /// The digest of all bytes so far, in lowercase hexadecimal digits.
  package var digits: String {
    bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
  }

  /// The SHA-256 digest of some bytes.
  ///
  /// - Throws: `DigestError` where the system's library is absent.
  package static func sha256(of bytes: some Sequence<UInt8>) throws(DigestError) -> MessageDigest {
    var digest = try MessageDigest(.sha256)
    let bytes = ContiguousArray(bytes)
    digest.update(bytes.span)
    return digest
  }
}

/// No library on this system computes digests.
package struct DigestError: Error, Equatable, CustomStringConvertible {
  /// What was looked for, and how to install it.
  package let description: String
}
