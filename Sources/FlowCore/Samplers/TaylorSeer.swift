/// The steps that evaluate the network, while others extrapolate its output.
///
/// TaylorSeer (Liu et al., 2025, arXiv:2503.06923) to first order, with the rule that diffusers and
/// OpenVINO GenAI apply to FLUX and Stable Diffusion 3: after the first steps every `interval`-th
/// is evaluated, and all of the last ones. Between two evaluations, the output at the m-th step
/// after F is `F + (F - previous F) * m / gap`, with gap the number of steps between the two. Steps
/// in between are folded into one row, so that 28 steps are 14 evaluations.
public struct TaylorSeer: Hashable, Sendable {
  /// The number of steps from one evaluation to the next, at least 1; 1 evaluates all.
  public var interval = 3
  /// The number of first steps that are all evaluated, at least 1.
  public var first = 6
  /// The number of last steps that are all evaluated, at least 0.
  public var last = 2

  /// Creates the rule with the published parameters.
  public init() {}

  var isValid: Bool { interval >= 1 && first >= 1 && last >= 0 }

  /// The steps that use each evaluation, with the number of steps since the previous evaluation,
  /// which is 0 for the first.
  func evaluated(stepCount: Int) -> [(steps: Range<Int>, gap: Int)] {
    var starts: [Int] = []
    for step in 0..<stepCount {
      let isDue = starts.last.map { step - $0 >= interval } ?? true
      if step < first || step >= stepCount - last || isDue { starts.append(step) }
    }
    return starts.indices.map { index in
      let end = index + 1 < starts.count ? starts[index + 1] : stepCount
      return (starts[index]..<end, index > 0 ? starts[index] - starts[index - 1] : 0)
    }
  }

  /// The coefficients of this evaluation's output and of the previous one, over steps of the given
  /// lengths.
  func weights(of lengths: [Double], gap: Int) -> (output: Double, memory: Double) {
    var weights = (output: 0.0, memory: 0.0)
    for (offset, length) in lengths.enumerated() {
      // The first evaluation has no change to extrapolate.
      let slope = gap > 0 ? Double(offset) / Double(gap) : 0
      weights.output += length * (1 + slope)
      weights.memory -= length * slope
    }
    return weights
  }
}
