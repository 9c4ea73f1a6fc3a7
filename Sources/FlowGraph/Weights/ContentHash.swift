internal import FlowCore

/// A hash that detects accidental changes; it does not protect against attackers.
///
/// XXH64 with seed 0 (Yann Collet, the xxHash specification 0.1.1), which runs at about memory
/// speed.
public struct ContentHash: Hashable, Sendable, CustomStringConvertible {
  /// The 64 bits.
  public let value: UInt64

  /// The hash as 16 hexadecimal digits.
  public var description: String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }

  /// The hash of some bytes.
  public static func of(_ bytes: [UInt8]) -> ContentHash { unsafe of(bytes.span.bytes) }

  /// The hash of memory.
  public static func of(_ bytes: RawSpan) -> ContentHash {
    let count = bytes.byteCount
    var position = 0
    var hash: UInt64
    if count >= 32 {
      var lanes = SIMD4<UInt64>(prime1 &+ prime2, prime2, 0, 0 &- prime1)
      while position + 32 <= count {
        let input = SIMD4(
          word(bytes, position), word(bytes, position + 8), word(bytes, position + 16),
          word(bytes, position + 24))
        lanes &+= input &* prime2
        lanes = (lanes &<< 31 | lanes &>> 33) &* prime1
        position += 32
      }
      hash =
        rotate(lanes[0], 1) &+ rotate(lanes[1], 7) &+ rotate(lanes[2], 12) &+ rotate(lanes[3], 18)
      for lane in 0..<4 { hash = (hash ^ round(lanes[lane])) &* prime1 &+ prime4 }
    } else {
      hash = prime5
    }
    hash &+= UInt64(count)
    while position + 8 <= count {
      hash ^= rotate(word(bytes, position) &* prime2, 31) &* prime1
      hash = rotate(hash, 27) &* prime1 &+ prime4
      position += 8
    }
    if position + 4 <= count {
      let half = unsafe bytes.unsafeLoadUnaligned(fromByteOffset: position, as: UInt32.self)
      hash ^= UInt64(UInt32(littleEndian: half)) &* prime1
      hash = rotate(hash, 23) &* prime2 &+ prime3
      position += 4
    }
    while position < count {
      let byte = unsafe bytes.unsafeLoadUnaligned(fromByteOffset: position, as: UInt8.self)
      hash = rotate(hash ^ UInt64(byte) &* prime5, 11) &* prime1
      position += 1
    }
    hash = (hash ^ hash >> 33) &* prime2
    hash = (hash ^ hash >> 29) &* prime3
    return ContentHash(value: hash ^ hash >> 32)
  }

  private static let prime1: UInt64 = 0x9e37_79b1_85eb_ca87
  private static let prime2: UInt64 = 0xc2b2_ae3d_27d4_eb4f
  private static let prime3: UInt64 = 0x1656_67b1_9e37_79f9
  private static let prime4: UInt64 = 0x85eb_ca77_c2b2_ae63
  private static let prime5: UInt64 = 0x27d4_eb2f_1656_67c5

  private static func round(_ lane: UInt64) -> UInt64 { rotate(lane &* prime2, 31) &* prime1 }

  private static func rotate(_ value: UInt64, _ bits: UInt64) -> UInt64 {
    value &<< bits | value &>> (64 - bits)
  }

  private static func word(_ bytes: RawSpan, _ position: Int) -> UInt64 {
    // The caller's loop ensures that position + 8 is within the count.
    UInt64(
      littleEndian: unsafe bytes.unsafeLoadUnaligned(fromByteOffset: position, as: UInt64.self))
  }
}
