internal import FlowDigest
internal import Foundation

/// The seed of an nkey user: an Ed25519 key in NATS's spelling (base32, a prefix, CRC-16/XMODEM).
struct NKeySeed {
  /// The public key, as a server's configuration has it: `U...`.
  let publicKey: String

  /// The prefix bytes: a seed, of a user.
  private static let (seed, user): (UInt8, UInt8) = (18 << 3, 20 << 3)
  private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".utf8)

  /// Reads a seed's file.
  ///
  /// - Throws: `settingInvalid` where others may read it, or it holds no seed of a user.
  init(file: String) throws(NATSError) {
    let attributes: [FileAttributeKey: Any]
    let contents: Data
    do {
      attributes = try FileManager.default.attributesOfItem(
        atPath: URL(filePath: file).resolvingSymlinksInPath().path)
      contents = try Data(contentsOf: URL(filePath: file))
    } catch { throw NATSError(.settingInvalid, "cannot read the key's file '\(file)': \(error)") }
    let mode = (attributes[.posixPermissions] as? NSNumber)?.intValue ?? 0
    guard mode & 0o077 == 0 else {
      throw NATSError(
        .settingInvalid,
        "'\(file)' holds a key and others may read it (mode \(String(mode, radix: 8))); run: "
          + "chmod 600 '\(file)'")
    }
    let text = String(decoding: contents, as: UTF8.self)
    let line = text.split(whereSeparator: \.isWhitespace).first { $0.hasPrefix("S") } ?? ""
    let derived: String?
    do { derived = try Self.publicKey(ofSeed: String(line)) } catch {
      throw NATSError(.settingInvalid, "cannot read the key in '\(file)': \(error.description)")
    }
    guard let key = derived else {
      throw NATSError(
        .settingInvalid,
        "'\(file)' holds no seed of an nkey user (a line that begins with SU, as `nk -gen user` "
          + "writes it)")
    }
    publicKey = key
  }

  /// The public key of a seed; nil where it is none of a user's.
  ///
  /// - Throws: `DigestError` where the system has no library for keys.
  static func publicKey(ofSeed text: String) throws(DigestError) -> String? {
    guard text.utf8.count == 58, let bytes = decoded(text), bytes.count == 36 else { return nil }
    let content = Array(bytes[..<34])
    guard checksum(content) == UInt16(bytes[34]) | UInt16(bytes[35]) << 8,
      content[0] & 0xf8 == seed, (content[0] & 7) << 5 | (content[1] & 0xf8) >> 3 == user,
      let key = try Ed25519.publicKey(seed: Array(content[2...]))
    else { return nil }
    return encoded([user] + key)
  }

  private static func decoded(_ text: String) -> [UInt8]? {
    var bytes: [UInt8] = []
    var (bits, count) = (0, 0)
    for character in text.utf8 {
      guard let value = alphabet.firstIndex(of: character) else { return nil }
      bits = bits << 5 | value
      count += 5
      if count >= 8 {
        count -= 8
        bytes.append(UInt8(truncatingIfNeeded: bits >> count))
        bits &= 1 << count - 1
      }
    }
    return bytes
  }

  private static func encoded(_ content: [UInt8]) -> String {
    let sum = checksum(content)
    var text: [UInt8] = []
    var (bits, count) = (0, 0)
    for byte in content + [UInt8(sum & 0xff), UInt8(sum >> 8)] {
      bits = bits << 8 | Int(byte)
      count += 8
      while count >= 5 {
        count -= 5
        text.append(alphabet[bits >> count & 31])
      }
      bits &= 1 << count - 1
    }
    if count > 0 { text.append(alphabet[bits << (5 - count) & 31]) }
    return String(decoding: text, as: UTF8.self)
  }

  /// CRC-16/XMODEM.
  private static func checksum(_ bytes: [UInt8]) -> UInt16 {
    bytes.reduce(into: UInt16(0)) { sum, byte in
      sum ^= UInt16(byte) << 8
      for _ in 0..<8 { sum = sum & 0x8000 == 0 ? sum << 1 : sum << 1 ^ 0x1021 }
    }
  }
}
