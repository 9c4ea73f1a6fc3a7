/// The schedule of latent consistency models, LCM and LCM-LoRA.
///
/// Luo et al., 2023 (arXiv:2310.04378); timesteps and coefficients of diffusers' `LCMScheduler`.
/// Each step predicts clean data, and all but the last add fresh noise again.
public struct ConsistencySchedule: Schedule, Equatable {
  /// The betas of the model's training.
  public var betas = BetaSchedule()
  /// The network's prediction type.
  public var prediction = DiffusionPrediction.epsilon
  /// The number of steps that the teacher was distilled at, 1 to the number of timesteps.
  public var originalStepCount = 50
  /// The factor of timesteps in the boundary condition.
  public var timestepScaling = 10.0

  /// The standard deviation of data, in the boundary condition of consistency models (Song et al.,
  /// 2023, arXiv:2303.01469, appendix C).
  private static let dataDeviation = 0.5

  /// Creates the schedule of LCM's published weights.
  public init() {}

  /// The timesteps of a plan with this number of steps: evenly spaced among the teacher's first
  /// timesteps, noisiest first.
  func timesteps(stepCount: Int, of teacherCount: Int) -> [Int] {
    let stride = betas.count / originalStepCount
    return (0..<stepCount).map { index in
      // Integer division, where diffusers floors `index * (length / steps)`.
      (teacherCount - index * teacherCount / stepCount) * stride - 1
    }
  }

  /// Compiles a plan; the number of steps is at most the teacher's for this strength.
  public func plan(
    stepCount: Int, solver: Solver, strength: Double
  ) throws(PlanError) -> StepPlan {
    try checkStrength(strength)
    // Truncated as in diffusers: 0.58 of 50 is 28, since the product is slightly below 29.
    let teacherCount = Int(Double(originalStepCount) * strength)
    let range = strength < 1 ? " at strength \(strength)" : ""
    try checkStepCount(
      stepCount, of: "the consistency schedule\(range)", atMost: teacherCount)
    guard solver == .euler else { throw .solver(solver, of: "the consistency schedule") }
    let timesteps = timesteps(stepCount: stepCount, of: teacherCount)
    let alphas = betas.alphas()
    let rows = timesteps.enumerated().map { index, timestep in
      let next = index + 1 < timesteps.count ? alphas[timesteps[index + 1]] : 1
      return row(timestep, alpha: alphas[timestep], nextAlpha: next)
    }
    return StepPlan(
      rows: rows, stepCount: stepCount, start: .diffusion(alpha: alphas[timesteps[0]]))
  }

  private func row(_ timestep: Int, alpha: Double, nextAlpha: Double) -> StepPlan.Row {
    // If the last timestep is pure noise, a noise prediction contains no data: as in Euler's
    // schedule.
    let alpha = prediction == .epsilon ? max(alpha, 0x1p-24) : alpha
    let scaled = Double(timestep) * timestepScaling
    let variance = Self.dataDeviation * Self.dataDeviation
    let skip = variance / (scaled * scaled + variance)
    let out = scaled / (scaled * scaled + variance).squareRoot()
    let data = prediction.data(alpha: alpha)
    let kept = nextAlpha.squareRoot()
    return StepPlan.Row(
      timestep: Float(timestep), sample: kept * (out * data.sample + skip),
      output: kept * out * data.output, noise: (1 - nextAlpha).squareRoot(),
      residual: prediction.residual(alpha: alpha), level: .diffusion(alpha: alpha))
  }
}
