#if canImport(CryptoKit)
  internal import CryptoKit
  internal import Foundation
#else
  internal import CLibCrypto
#endif

/// Keys of Ed25519 signatures (RFC 8032).
package enum Ed25519 {
  /// The public key, 32 bytes, of a seed of 32 bytes; nil for a seed of another length.
  ///
  /// - Throws: `DigestError` where the system's library is absent.
  package static func publicKey(seed: [UInt8]) throws(DigestError) -> [UInt8]? {
    #if canImport(CryptoKit)
      let key = try? Curve25519.Signing.PrivateKey(rawRepresentation: Data(seed))
      return key.map { Array($0.publicKey.rawRepresentation) }
    #else
      guard seed.count == 32 else { return nil }
      let functions = try DigestLibrary.shared().functions
      let kind = Int32(CLIBCRYPTO_ED25519)
      guard let key = unsafe functions.EVP_PKEY_new_raw_private_key(kind, nil, seed, seed.count)
      else { return nil }
      defer { unsafe functions.EVP_PKEY_free(key) }
      var bytes = [UInt8](repeating: 0, count: 32)
      var count = bytes.count
      guard unsafe functions.EVP_PKEY_get_raw_public_key(key, &bytes, &count) == 1, count == 32
      else { return nil }
      return bytes
    #endif
  }
}
