/// The generator behind `torch.Generator("cuda")`: Philox 4x32 with 10 rounds.
///
/// Salmon et al., 2011 (doi:10.1145/2063384.2063405). A counter and a key give four words.
enum Philox {
  static func words(
    counter: SIMD4<UInt32>, key: SIMD2<UInt32>
  ) -> SIMD4<UInt32> {
    var counter = counter
    var key = key
    for round in 0..<10 {
      if round > 0 { key &+= SIMD2(0x9e37_79b9, 0xbb67_ae85) }
      let first = UInt64(counter[0]) * 0xd251_1f53
      let second = UInt64(counter[2]) * 0xcd9e_8d57
      counter = SIMD4(
        UInt32(second >> 32) ^ counter[1] ^ key[0], UInt32(truncatingIfNeeded: second),
        UInt32(first >> 32) ^ counter[3] ^ key[1], UInt32(truncatingIfNeeded: first))
    }
    return counter
  }
}
