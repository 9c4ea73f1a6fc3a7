/// The schedule of InstaFlow and 2-Rectified Flow, whose networks predict `data - noise`.
///
/// N steps of equal length from timestep 1000 (`pipeline_rf.py` of gnobitab/InstaFlow; Liu et al.,
/// 2023, arXiv:2309.06380): timestep `(1 - i/N) * 1000`, `sample += output / N`.
public struct RectifiedFlowSchedule: FlowSchedule, Equatable {
  /// Creates the schedule; it has no options.
  public init() {}

  /// -1: the networks predict `data - noise`.
  public var outputSign: Double { -1 }

  /// The timestep that the network reads, `1000 * sigma`.
  public func timestep(sigma: Double) -> Float { Float(sigma * 1000) }

  /// The sigmas of a plan with equal steps, from `strength` down to 0.
  public func grid(stepCount: Int, strength: Double = 1) throws(PlanError) -> TimeGrid {
    try checkStepCount(stepCount, of: "the rectified-flow schedule")
    try checkStrength(strength)
    return TimeGrid(stepCount: stepCount, from: strength)
  }

  /// Compiles a plan with equal steps from sigma `strength` on.
  public func plan(
    stepCount: Int, solver: Solver, strength: Double
  ) throws(PlanError) -> StepPlan {
    let grid = try grid(stepCount: stepCount, strength: strength)
    try solver.check()
    let rows = solver.rows(over: grid, sign: outputSign, timestep: timestep(sigma:))
    return StepPlan(rows: rows, stepCount: stepCount, start: .flow(sigma: strength))
  }
}
