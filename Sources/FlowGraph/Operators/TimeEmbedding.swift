internal import FlowCore

#if canImport(Glibc)
  private import Glibc
#elseif canImport(Musl)
  private import Musl
#else
  private import Darwin
#endif

extension Value {
  /// Sinusoids of a timestep, `[rows]` to `[rows, width]`.
  ///
  /// `get_timestep_embedding` of diffusers: frequencies fall from 1 to 1/10000 in `width / 2`
  /// steps (Ho et al., 2020, arXiv:2006.11239).
  ///
  /// - Parameters:
  ///   - width: the number of sinusoids, even.
  ///   - cosineFirst: whether the cosines come before the sines (`flip_sin_to_cos`).
  ///   - frequencyShift: subtracted from the number of frequencies (`downscale_freq_shift`).
  public func timeEmbedding(
    width: Int, cosineFirst: Bool, frequencyShift: Float
  ) throws(GraphError) -> Value {
    try expect(rank: 1, for: "time embedding")
    guard width > 0, width.isMultiple(of: 2) else {
      throw mismatch("time embedding", "needs an even width, got \(width)")
    }
    let half = width / 2
    // Computed in float32 like diffusers: at timestep 1000 a frequency's rounding error affects the
    // angle.
    let frequencies = (0..<half).map { index in
      expf(-logf(10000) * Float(index) / (Float(half) - frequencyShift))
    }
    let angles = try reshaped([shape[0], 1]) * graph.constant(frequencies, shape: [1, half])
    let parts = cosineFirst ? [angles.cosine(), angles.sine()] : [angles.sine(), angles.cosine()]
    return try .concatenated(parts, axis: 1)
  }
}
