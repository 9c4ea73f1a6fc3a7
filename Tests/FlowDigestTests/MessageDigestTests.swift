import Testing

@testable import FlowDigest

@Suite struct MessageDigestTests {
  /// FIPS 180-4's examples.
  @Test(arguments: [
    ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    (
      "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
    ),
  ])
  func sha256(text: String, digits: String) throws {
    #expect(try MessageDigest.sha256(of: text.utf8).digits == digits)
  }

  @Test func sha1() throws {
    var digest = try MessageDigest(.sha1)
    digest.update(ContiguousArray("abc".utf8).span)
    #expect(digest.digits == "a9993e364706816aba3e25717850c26c9cd0d89d")
  }

  @Test func partsAreEqualToTheWhole() throws {
    let bytes = ContiguousArray((0..<100_000).map { UInt8(truncatingIfNeeded: $0 * 7) })
    var digest = try MessageDigest(.sha256)
    for start in stride(from: 0, to: bytes.count, by: 977) {
      let part = ContiguousArray(bytes[start..<min(start + 977, bytes.count)])
      digest.update(part.span)
    }
    #expect(try digest.bytes == MessageDigest.sha256(of: bytes).bytes)
  }

  @Test func aCopyGoesItsOwnWay() throws {
    let whole = ContiguousArray("abc".utf8)
    var first = try MessageDigest(.sha256)
    first.update(ContiguousArray("a".utf8).span)
    let halfway = first.digits
    var second = first
    second.update(ContiguousArray("bc".utf8).span)
    #expect(first.digits == halfway)
    #expect(try second.digits == MessageDigest.sha256(of: whole).digits)
  }

  /// RFC 8032, 7.1, test 1.
  @Test func ed25519() throws {
    let seed: [UInt8] = [
      0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c,
      0xc4,
      0x44, 0x49, 0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f,
      0x60,
    ]
    let key = try #require(try Ed25519.publicKey(seed: seed))
    #expect(key.prefix(4) == [0xd7, 0x5a, 0x98, 0x01])
    #expect(key.suffix(4) == [0xf7, 0x07, 0x51, 0x1a])
    #expect(try Ed25519.publicKey(seed: [1, 2]) == nil)
  }

  #if !canImport(CryptoKit)
    @Test func anAbsentLibraryIsNamedWithTheRemedy() throws {
      let error = #expect(throws: DigestError.self) {
        try DigestLibrary(candidates: ["/nowhere/libcrypto.so.3"])
      }
      let text = try #require(error?.description)
      #expect(text.contains("/nowhere/libcrypto.so.3"))
      #expect(text.contains("apt-get install libssl3"))
    }
  #endif
}
