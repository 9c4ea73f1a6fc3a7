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
      let lanes = lanes(of: bytes)
      position = count & ~31
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

  /// The four lanes after all blocks of 32 bytes.
  ///
  /// Words and no vectors, whose operators are calls in a debug build: engines are hashed when they
  /// are read.
  private static func lanes(of bytes: RawSpan) -> SIMD4<UInt64> {
    unsafe bytes.withUnsafeBytes { bytes in
      guard let start = bytes.baseAddress else { return SIMD4() }
      let isAligned = UInt(bitPattern: start) % 8 == 0
      var (lane0, lane1) = (prime1 &+ prime2, prime2)
      var (lane2, lane3) = (UInt64(0), 0 &- prime1)
      let (first, second) = (prime1, prime2)
      var position = 0
      let end = bytes.count & ~31
      while position < end {
        var (word0, word1, word2, word3) = (UInt64(0), UInt64(0), UInt64(0), UInt64(0))
        if isAligned {
          // Little-endian, as all platforms of the package.
          let words = unsafe (start + position).assumingMemoryBound(to: UInt64.self)
          (word0, word1, word2, word3) = unsafe (words[0], words[1], words[2], words[3])
        } else {
          word0 = unsafe start.loadUnaligned(fromByteOffset: position, as: UInt64.self)
          word1 = unsafe start.loadUnaligned(fromByteOffset: position + 8, as: UInt64.self)
          word2 = unsafe start.loadUnaligned(fromByteOffset: position + 16, as: UInt64.self)
          word3 = unsafe start.loadUnaligned(fromByteOffset: position + 24, as: UInt64.self)
        }
        lane0 = lane0 &+ word0 &* second
        lane1 = lane1 &+ word1 &* second
        lane2 = lane2 &+ word2 &* second
        lane3 = lane3 &+ word3 &* second
        lane0 = (lane0 &<< 31 | lane0 &>> 33) &* first
        lane1 = (lane1 &<< 31 | lane1 &>> 33) &* first
        lane2 = (lane2 &<< 31 | lane2 &>> 33) &* first
        lane3 = (lane3 &<< 31 | lane3 &>> 33) &* first
        position += 32
      }
      return SIMD4(lane0, lane1, lane2, lane3)
    }
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
