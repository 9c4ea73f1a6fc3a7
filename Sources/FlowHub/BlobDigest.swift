internal import FlowDigest
internal import Foundation

/// The expected hash of a blob's contents, which is its name in the cache.
enum BlobDigest: Hashable, Sendable {
  /// SHA-256, of large files.
  case sha256(String)
  /// Git's own name of a blob: SHA-1 over `blob <length>\0` and the contents.
  case gitSHA1(String)

  /// Parses 64 or 40 hexadecimal digits, plain or quoted as in an `ETag` header.
  init?(_ text: String?) {
    guard var name = text?.lowercased() else { return nil }
    if name.hasPrefix("w/") { name.removeFirst(2) }
    if name.count >= 2, name.hasPrefix("\""), name.hasSuffix("\"") {
      name = String(name.dropFirst().dropLast())
    }
    guard name.utf8.allSatisfy({ (48...57).contains($0) || (97...102).contains($0) }) else {
      return nil
    }
    switch name.utf8.count {
    case 64: self = .sha256(name)
    case 40: self = .gitSHA1(name)
    default: return nil
    }
  }

  /// The hexadecimal digits.
  var name: String {
    switch self {
    case .sha256(let name), .gitSHA1(let name): name
    }
  }
}

/// An incremental digest.
struct BlobHash: Sendable {
  private var digest: MessageDigest

  /// Starts a digest of the same kind, for contents of `byteCount` bytes.
  ///
  /// - Throws: `DigestError` where the system has no library for it.
  init(like digest: BlobDigest, byteCount: Int) throws(DigestError) {
    switch digest {
    case .sha256: self.digest = try MessageDigest(.sha256)
    case .gitSHA1:
      self.digest = try MessageDigest(.sha1)
      update(Data("blob \(byteCount)\0".utf8))
    }
  }

  mutating func update(_ data: Data) {
    unsafe data.withUnsafeBytes { bytes in unsafe digest.update(Span(_unsafeBytes: bytes)) }
  }

  /// The digest of all bytes so far, in hexadecimal digits.
  var digits: String { digest.digits }
}
