/// The generator behind `torch.Generator("cpu")`: MT19937.
///
/// Matsumoto and Nishimura, 1998 (doi:10.1145/272991.272995). Like PyTorch's, it reads the low 32
/// bits of the seed.
struct MersenneTwister: Sendable {
  private static let size = 624
  private var state: [UInt32]
  private var next = MersenneTwister.size

  init(seed: UInt64) {
    state = [UInt32](repeating: 0, count: Self.size)
    state[0] = UInt32(truncatingIfNeeded: seed)
    for index in 1..<Self.size {
      let previous = state[index - 1]
      state[index] = 1_812_433_253 &* (previous ^ (previous >> 30)) &+ UInt32(index)
    }
  }

  mutating func nextWord() -> UInt32 {
    if next == Self.size { twist() }
    var word = state[next]
    next += 1
    word ^= word >> 11
    word ^= (word << 7) & 0x9d2c_5680
    word ^= (word << 15) & 0xefc6_0000
    return word ^ (word >> 18)
  }

  /// A uniform number in `[0, 1)` with 24 random bits, as PyTorch draws a `float`.
  mutating func nextUniform() -> Float {
    Float(nextWord() & 0xff_ffff) * 0x1p-24
  }

  /// A uniform number in `[0, 1)` with 53 random bits, as PyTorch draws a `double`.
  mutating func nextDouble() -> Double {
    let high = UInt64(nextWord())
    let word = high << 32 | UInt64(nextWord())
    return Double(word & (1 << 53 - 1)) * 0x1p-53
  }

  private mutating func twist() {
    for index in 0..<Self.size {
      let word =
        (state[index] & 0x8000_0000) | (state[(index + 1) % Self.size] & 0x7fff_ffff)
      let twisted = state[(index + 397) % Self.size] ^ (word >> 1)
      state[index] = word & 1 == 0 ? twisted : twisted ^ 0x9908_b0df
    }
    next = 0
  }
}
