import FlowTestSupport
import Foundation
import Testing

@testable import FlowCore

@Suite struct GaussianNoiseTests {
  @Test("A seed gives torch.randn's numbers, count by count, twice in a row")
  func torch() throws {
    let golden = try Golden("noise.safetensors", in: .module)
    #expect(golden.names.count == 46)
    for name in golden.names {
      let parts = name.split(separator: ".")
      let seed = try #require(UInt64(parts[0]))
      let count = try #require(Int(parts[1]))
      let expected = try golden.floats(name)
      var noise = GaussianNoise(seed: seed)
      var drawn: [Float] = []
      while drawn.count < expected.count { drawn += noise.latents(shape: [count]).scalars }
      // PyTorch's vector logarithm and cosine differ from libm's in the last place.
      expectClose(drawn, expected, tolerance: 2e-6)
    }
  }

  @Test("The twister gives the published numbers of its default seed")
  func twister() {
    // The first and the 10,000th number of std::mt19937, as the C++ standard fixes the latter.
    var generator = MersenneTwister(seed: 5489)
    #expect(generator.nextWord() == 3_499_211_612)
    for _ in 0..<9998 { _ = generator.nextWord() }
    #expect(generator.nextWord() == 4_123_659_995)
  }

  @Test(
    "Philox gives the known answers of Random123",
    arguments: [
      ([0, 0, 0, 0], [0, 0], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
      (
        [.max, .max, .max, .max], [.max, .max],
        [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
      ),
      (
        [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], [0xa409_3822, 0x299f_31d0],
        [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
      ),
    ] as [([UInt32], [UInt32], [UInt32])])
  func philox(counter: [UInt32], key: [UInt32], expected: [UInt32]) {
    #expect(philoxWords(counter: counter, key: key) == expected)
  }

  @Test("A CUDA seed gives the numbers that torch.randn gives on a GPU")
  func cuda() {
    // torch.randn(6, device="cuda") with seed 0, as published with AUTOMATIC1111's rng_philox.
    var noise = GaussianNoise(seed: 0, source: .cuda)
    expectClose(
      noise.latents(shape: [6]).scalars,
      [-0.924663, -0.425344, -2.643846, 0.145184, -0.120867, -0.579726], tolerance: 2e-6)
  }

  @Test(
    "Noise has the mean and the spread of a standard normal",
    arguments: GaussianNoise.Source.allCases)
  func moments(source: GaussianNoise.Source) {
    var noise = GaussianNoise(seed: 7, source: source)
    let scalars = noise.latents(shape: [100_000]).scalars
    let mean = scalars.reduce(0, +) / 100_000
    let variance = scalars.reduce(0) { $0 + $1 * $1 } / 100_000
    #expect(abs(mean) < 0.015)  // five standard errors of 1/316
    #expect(abs(variance - 1) < 0.025)  // five of 1.41/316
  }
}

private func philoxWords(counter: [UInt32], key: [UInt32]) -> [UInt32] {
  let words = Philox.words(
    counter: SIMD4(counter[0], counter[1], counter[2], counter[3]), key: SIMD2(key[0], key[1]))
  return [words[0], words[1], words[2], words[3]]
}
