#if canImport(Glibc)
  private import Glibc
#elseif canImport(Musl)
  private import Musl
#else
  private import Darwin
#endif

/// Standard normal numbers, determined by the seed.
///
/// The same seed and calls give the same numbers on every machine, equal to those of PyTorch's
/// generators, so that a seed from elsewhere gives the same image here.
public struct GaussianNoise: Sendable {
  /// The generator to reproduce.
  public enum Source: String, Sendable, CaseIterable {
    /// `torch.randn` with a CPU generator; reads the low 32 bits of the seed.
    case cpu
    /// `torch.randn` with a CUDA generator, for tensors that the device draws in one kernel launch
    /// (up to about a million elements on current devices); reads all 64 bits of the seed.
    case cuda
  }

  private enum State: Sendable {
    case mersenneTwister(MersenneTwister, spare: Double?)
    case philox(seed: UInt64, offset: UInt32)
    indirect case mix(GaussianNoise, GaussianNoise, fraction: Double)
  }

  private var state: State

  /// Creates the generator of a seed.
  public init(seed: UInt64, source: Source = .cpu) {
    state =
      switch source {
      case .cpu: .mersenneTwister(MersenneTwister(seed: seed), spare: nil)
      case .cuda: .philox(seed: seed, offset: 0)
      }
  }

  /// Creates noise interpolated between two generators.
  ///
  /// Each draw is a spherical interpolation of the two (``ArcMix``), which preserves the variance:
  /// halfway along a straight line, noise would be too weak by a third, and images dull. Each column
  /// of a channel is interpolated separately, as in AUTOMATIC1111's web UI.
  ///
  /// - Parameters:
  ///   - first: the result for a fraction of 0.
  ///   - second: the result for a fraction of 1.
  ///   - fraction: the fraction, 0 to 1.
  public init(mixing first: GaussianNoise, with second: GaussianNoise, fraction: Double) {
    state = .mix(first, second, fraction: fraction)
  }

  /// Draws the next latents.
  public mutating func latents(shape: Shape) -> Latents {
    switch state {
    case .mersenneTwister(var generator, var spare):
      let scalars = Self.draw(shape.elementCount, from: &generator, spare: &spare)
      state = .mersenneTwister(generator, spare: spare)
      return Latents(shape: shape, scalars: scalars)
    case .philox(let seed, let offset):
      state = .philox(seed: seed, offset: offset + 1)
      let scalars = (0..<shape.elementCount).map { index in
        Self.philox(seed: seed, offset: offset, index: UInt64(index))
      }
      return Latents(shape: shape, scalars: scalars)
    case .mix(var first, var second, let fraction):
      let (one, other) = (first.latents(shape: shape), second.latents(shape: shape))
      state = .mix(first, second, fraction: fraction)
      return one.mixed(with: other, fraction: fraction)
    }
  }

  /// Draws like ATen's `normal_` on a CPU: in blocks of 16, with the last 16 drawn again if the
  /// count is not a multiple, and one by one in double precision below 16.
  private static func draw(
    _ count: Int, from generator: inout MersenneTwister, spare: inout Double?
  ) -> [Float] {
    guard count >= 16 else {
      return (0..<count).map { _ in Float(normal(from: &generator, spare: &spare)) }
    }
    var scalars = (0..<count).map { _ in generator.nextUniform() }
    for start in stride(from: 0, through: count - 16, by: 16) { boxMuller(&scalars, at: start) }
    guard count % 16 != 0 else { return scalars }
    for index in count - 16..<count { scalars[index] = generator.nextUniform() }
    boxMuller(&scalars, at: count - 16)
    return scalars
  }

  /// Converts 16 uniform numbers into 16 normal ones (Box and Muller, 1958).
  private static func boxMuller(_ scalars: inout [Float], at start: Int) {
    for index in start..<start + 8 {
      let radius = (-2 * logf(1 - scalars[index])).squareRoot()
      let angle = 2 * Float.pi * scalars[index + 8]
      scalars[index] = radius * cosf(angle)
      scalars[index + 8] = radius * sinf(angle)
    }
  }

  private static func normal(
    from generator: inout MersenneTwister, spare: inout Double?
  ) -> Double {
    if let drawn = spare {
      spare = nil
      return drawn
    }
    let angle = 2 * Double.pi * generator.nextDouble()
    let radius = (-2 * log1p(-generator.nextDouble())).squareRoot()
    spare = radius * sin(angle)
    return radius * cos(angle)
  }

  /// The first normal number of a separate thread, as in cuRAND.
  private static func philox(seed: UInt64, offset: UInt32, index: UInt64) -> Float {
    let words = Philox.words(
      counter: SIMD4(
        offset, 0, UInt32(truncatingIfNeeded: index), UInt32(truncatingIfNeeded: index >> 32)),
      key: SIMD2(UInt32(truncatingIfNeeded: seed), UInt32(truncatingIfNeeded: seed >> 32)))
    let uniform = Float(words[0]) * 0x1p-32 + 0x1p-33
    let angle = Float(words[1]) * (0x1p-32 * 2 * Float.pi) + 0x1p-33 * 2 * Float.pi
    return (-2 * logf(uniform)).squareRoot() * sinf(angle)
  }
}
