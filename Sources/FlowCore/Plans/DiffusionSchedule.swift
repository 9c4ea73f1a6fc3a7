/// The schedule of diffusion models solved by Euler's method: SD-Turbo, SDXL-Turbo and SDXS.
///
/// Karras et al., 2022 (arXiv:2206.00364), algorithm 1; timesteps and coefficients of diffusers'
/// `EulerDiscreteScheduler` and `EulerAncestralDiscreteScheduler`. Those represent samples as `data
/// + sigma * noise` and scale them for the network; here a sample is represented as the network
/// reads it, divided by `sqrt(sigma^2 + 1)`, which makes every step affine in it.
public struct DiffusionSchedule: Schedule, Equatable {
  /// The choice of training timesteps (`timestep_spacing`).
  public enum Spacing: String, Sendable, CaseIterable {
    /// From the last to the first, both included.
    case linspace
    /// At equal distances from the first; the last is left out.
    case leading
    /// At equal distances from the last, as few-step models are distilled.
    case trailing
  }

  /// The betas of the model's training.
  public var betas = BetaSchedule()
  /// The network's prediction type.
  public var prediction = DiffusionPrediction.epsilon
  /// The spacing of the timesteps.
  public var spacing = Spacing.trailing
  /// The offset that `leading` adds to each timestep.
  public var stepsOffset = 1
  /// Whether each step draws fresh noise (Euler ancestral).
  public var isAncestral = false
  /// Whether a plan of one step starts from unscaled noise and ends at the noise level of the first
  /// training timestep.
  ///
  /// diffusers' `DEISMultistepScheduler` does so, and SDXS was distilled for one of its steps. Plans of
  /// more steps and ancestral ones end without noise.
  public var endsAtFirstTimestep = false

  /// Creates the schedule of SD-Turbo.
  public init() {}

  /// The timesteps of a plan: the last ones of a plan with `stepCount / strength` steps.
  func timesteps(stepCount: Int, strength: Double = 1) -> [Double] {
    let last = Double(betas.count - 1)
    let wholeCount = Double(stepCount) / strength
    switch spacing {
    case .linspace:
      return (0..<stepCount).reversed().map { index in
        wholeCount > 1 ? last * Double(index) / (wholeCount - 1) : 0
      }
    case .leading:
      // The billionth prevents 1000 * 0.3 / 3 from being truncated to 99.
      let ratio = Int(Double(betas.count) / wholeCount + 1e-9)
      return (0..<stepCount).reversed().map { Double($0 * ratio + stepsOffset) }
    case .trailing:
      let ratio = Double(betas.count) / wholeCount
      let skipped = wholeCount - Double(stepCount)
      return (0..<stepCount).map { index in
        (Double(betas.count) - (skipped + Double(index)) * ratio).rounded(.toNearestOrEven) - 1
      }
    }
  }

  /// Compiles a plan.
  public func plan(
    stepCount: Int, solver: Solver, strength: Double
  ) throws(PlanError) -> StepPlan {
    try checkStrength(strength)
    try checkStepCount(
      stepCount, of: "the diffusion schedule", atMost: min(betas.count, maximumStepCount))
    guard solver == .euler else { throw .solver(solver, of: "the diffusion schedule") }
    let levels = betas.alphas().map { alpha in
      // A last timestep of pure noise has no finite sigma: diffusers uses this one.
      ((1 - max(alpha, 0x1p-24)) / max(alpha, 0x1p-24)).squareRoot()
    }
    let timesteps = timesteps(stepCount: stepCount, strength: strength)
    guard timesteps.allSatisfy({ (0...Double(levels.count - 1)).contains($0) }),
      zip(timesteps, timesteps.dropFirst()).allSatisfy({ $0 > $1 })
    else {
      throw PlanError(
        code: .timesInvalid,
        message: "\(stepCount) steps with steps_offset \(stepsOffset) and strength \(strength) "
          + "give no decreasing timesteps within the \(levels.count) timesteps of training")
    }
    let endsAtFirst = endsAtFirstTimestep && stepCount == 1 && !isAncestral
    let sigmas = timesteps.map { Self.level(at: $0, of: levels) } + [endsAtFirst ? levels[0] : 0]
    let rows = timesteps.indices.map { index in
      row(timesteps[index], sigma: sigmas[index], next: sigmas[index + 1])
    }
    // diffusers starts `leading` plans at sqrt(sigma^2 + 1), the others at sigma.
    let start = sigmas[0] / (sigmas[0] * sigmas[0] + 1).squareRoot()
    return StepPlan(
      rows: rows, stepCount: stepCount,
      initialNoiseScale: spacing == .leading || endsAtFirst ? 1 : Float(start),
      start: .diffusion(alpha: 1 / (sigmas[0] * sigmas[0] + 1)))
  }

  private static func level(at timestep: Double, of levels: [Double]) -> Double {
    let below = Int(timestep.rounded(.down))
    let fraction = timestep - Double(below)
    guard fraction > 0, below + 1 < levels.count else { return levels[below] }
    return levels[below] * (1 - fraction) + levels[below + 1] * fraction
  }

  private func row(_ timestep: Double, sigma: Double, next: Double) -> StepPlan.Row {
    let scale = (sigma * sigma + 1).squareRoot()
    let nextScale = (next * next + 1).squareRoot()
    let alpha = 1 / (scale * scale)
    // For the sample as it is represented here: its data, and so the direction `(sample - data) /
    // sigma`.
    let data = prediction.data(alpha: alpha)
    let fresh =
      isAncestral
      ? (next * next * max(sigma * sigma - next * next, 0) / (sigma * sigma)).squareRoot() : 0
    let target = isAncestral ? max(next * next - fresh * fresh, 0).squareRoot() : next
    let ratio = (target - sigma) / sigma
    return StepPlan.Row(
      timestep: Float(timestep), sample: (scale + ratio * (scale - data.sample)) / nextScale,
      output: -ratio * data.output / nextScale, noise: fresh / nextScale,
      residual: prediction.residual(alpha: alpha), level: .diffusion(alpha: alpha))
  }
}
