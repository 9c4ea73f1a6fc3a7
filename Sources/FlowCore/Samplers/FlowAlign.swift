/// Editing without inversion that stays close to the source.
///
/// FlowAlign (Kim et al., 2025, arXiv:2505.23145; `SD3FlowAlign` in `diffusion/editing/sd3_edit.py`
/// of FlowAlign/FlowAlign). Like ``FlowEdit``, but with the source prompt in place of the
/// unconditional one, and a pull towards the source: with the difference of velocities `v`, `next =
/// (1 - pull) * image + pull * source + (next sigma - sigma + pull * sigma) * v`. A trajectory
/// needs the source's latents and the conditionings of both prompts, and takes three batch rows per
/// step.
public struct FlowAlign: Hashable, Sendable {
  /// The fraction of the source that is mixed in at each step (`zeta`), 0 to 1.
  public var pull = 0.01
  /// The guidance scale of the target prompt over the source prompt.
  public var scale = 13.5

  /// Creates the settings for Stable Diffusion 3 with 33 steps.
  public init() {}

  /// Compiles the plan.
  ///
  /// - Parameters:
  ///   - stepCount: the number of steps.
  ///   - strength: how much of the way from noise to data they cover, above 0 and at most 1.
  ///   - schedule: the model's.
  /// - Throws: `PlanError` where the schedule has no such times.
  public func plan(
    stepCount: Int, strength: Double = 1, schedule: some FlowSchedule
  ) throws(PlanError) -> StepPlan {
    let sigmas = try schedule.grid(stepCount: stepCount, strength: strength).sigmas
    let rows = zip(sigmas, sigmas.dropFirst()).map { sigma, next in
      var row = schedule.row(
        at: sigma, sample: 1 - pull, velocity: next - sigma + pull * sigma,
        evaluations: [
          .init(.conditional, weight: scale, source: -sigma, noise: sigma),
          .init(.source, weight: 1 - scale, source: -sigma, noise: sigma),
          .init(.source, weight: -1, sample: 0, source: 1 - sigma, noise: sigma),
        ])
      row.source = pull
      row.level = .clean
      return row
    }
    return StepPlan(
      rows: rows, stepCount: stepCount, start: .clean)
  }
}
