/// The schedule of InstaFlow and 2-Rectified Flow, whose networks predict `data - noise`.
///
/// N steps of equal length from timestep 1000 (`pipeline_rf.py` of gnobitab/InstaFlow; Liu et al.,
/// 2023, arXiv:2309.06380): timestep `(1 - i/N) * 1000`, `sample += output / N`.
public struct RectifiedFlowSchedule: Schedule, Equatable {
  /// Creates the schedule; it has no options.
  public init() {}

  /// Compiles the plan of so many steps, of equal length from sigma `strength` on.
  public func plan(
    stepCount: Int, solver: Solver, strength: Double
  ) throws(PlanError) -> StepPlan {
    try checkStepCount(stepCount, of: "the rectified-flow schedule")
    try checkStrength(strength)
    try solver.check()
    let grid = TimeGrid(stepCount: stepCount, from: strength)
    let rows = solver.rows(over: grid, sign: -1) { Float($0 * 1000) }
    return StepPlan(rows: rows, stepCount: stepCount, start: .flow(sigma: strength))
  }
}
