/// The schedule of latent consistency models, LCM and LCM-LoRA.
///
/// Luo et al., 2023 (arXiv:2310.04378); times and coefficients of diffusers' `LCMScheduler`. Each
/// step jumps to data, and all but the last go back part of the way with fresh noise.
public struct ConsistencySchedule: Schedule, Equatable {
  /// What the model's training mixed in.
  public var betas = BetaSchedule()
  /// How the output is read.
  public var prediction = DiffusionPrediction.epsilon
  /// The number of steps that the teacher was distilled at, 1 to the number of timesteps.
  public var originalStepCount = 50
  /// What timesteps are multiplied by before the boundary condition reads them.
  public var timestepScaling = 10.0

  /// The standard deviation of data, in the boundary condition of consistency models (Song et
  /// al., 2023, arXiv:2303.01469, appendix C).
  private static let dataDeviation = 0.5

  /// Creates the schedule of LCM's published weights.
  public init() {}

  /// The timesteps that so many steps visit: every so many of the teacher's first so many, noisiest
  /// first.
  func timesteps(stepCount: Int, of teacherCount: Int) -> [Int] {
    let stride = betas.count / originalStepCount
    return (0..<stepCount).map { index in
      // Floored in whole numbers, where diffusers floors `index * (length / steps)`.
      (teacherCount - index * teacherCount / stepCount) * stride - 1
    }
  }

  /// Compiles the plan of so many steps, at most the teacher's over as much of the way.
  public func plan(
    stepCount: Int, solver: Solver, strength: Double
  ) throws(PlanError) -> StepPlan {
    try checkStrength(strength)
    // Truncated as diffusers does: 0.58 of 50 is 28, since the product is a hair below 29.
    let teacherCount = Int(Double(originalStepCount) * strength)
    let way = strength < 1 ? " over \(strength) of the way" : ""
    try checkStepCount(
      stepCount, of: "the consistency schedule\(way)", atMost: teacherCount)
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
    // Where the last timestep is pure noise, noise tells nothing of the data: as Euler's schedule.
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
