/// Editing without inversion: the image moves along the difference of two velocities.
///
/// FlowEdit (Kulikov et al., 2024, arXiv:2412.08629, algorithm 1; `FlowEdit_utils.py` of
/// fallenshock/FlowEdit). The velocity under the target prompt at `image - sigma * source + sigma *
/// noise` minus the one under the source prompt at `(1 - sigma) * source + sigma * noise`, with new
/// noise in each step. Both are guided. A trajectory needs the source's latents, the conditionings
/// of both prompts, and the unconditional one if a scale is not 1.
public struct FlowEdit: Hashable, Sendable {
  /// The number of steps that run, counted from the clean end of the schedule (`n_max`).
  public var editedSteps = 24
  /// The number of last steps that follow the target's velocity alone (`n_min`).
  public var finalSteps = 0
  /// The number of noise draws that a step averages, one row of the plan each (`n_avg`).
  public var drawCount = 1
  /// The guidance scale under the source prompt; 1 for networks that read a scale themselves.
  public var sourceScale = 1.0
  /// The guidance scale under the target prompt; 1 for networks that read a scale themselves.
  public var targetScale = 1.0

  /// Creates the settings for FLUX.1-dev with 28 steps.
  ///
  /// Its network reads the scales itself: 1.5 for the source and 5.5 for the target.
  public init() {}

  /// The settings for Stable Diffusion 3 with 50 steps.
  public static let stableDiffusion3: FlowEdit = {
    var edit = FlowEdit()
    (edit.editedSteps, edit.sourceScale, edit.targetScale) = (33, 3.5, 13.5)
    return edit
  }()

  /// Compiles the plan.
  ///
  /// - Parameters:
  ///   - stepCount: the steps of the whole schedule, at least `editedSteps`.
  ///   - schedule: the model's schedule.
  /// - Throws: `PlanError` if the numbers of steps are inconsistent.
  public func plan(
    stepCount: Int, schedule: some FlowSchedule
  ) throws(PlanError) -> StepPlan {
    let grid = try schedule.grid(stepCount: stepCount, strength: 1)
    guard (1...stepCount).contains(editedSteps), (0...editedSteps).contains(finalSteps),
      drawCount >= 1
    else {
      throw PlanError(
        code: .stepCountInvalid,
        message: "FlowEdit takes 1 to \(stepCount) steps of \(stepCount), the last 0 or more of "
          + "these with the target alone, and 1 draw or more; got \(editedSteps), \(finalSteps) "
          + "and \(drawCount)")
    }
    let first = stepCount - editedSteps
    let firstFinal = stepCount - finalSteps
    var rows: [StepPlan.Row] = []
    for step in first..<stepCount {
      let (sigma, next) = (grid.sigmas[step], grid.sigmas[step + 1])
      guard step < firstFinal else {
        rows.append(
          schedule.row(
            at: sigma, velocity: next - sigma,
            evaluations: guided(.conditional, by: targetScale, sample: 1)))
        continue
      }
      rows += edit(from: sigma, to: next, schedule)
    }
    if first < firstFinal, finalSteps > 0 {
      // From here on the sample is noisy: the image plus the noise of this sigma.
      rows[rows.count - 1 - finalSteps].source = -grid.sigmas[firstFinal]
      rows[rows.count - 1 - finalSteps].noise = grid.sigmas[firstFinal]
    }
    return StepPlan(
      rows: rows, stepCount: editedSteps,
      start: first < firstFinal
        ? .clean : .flow(sigma: grid.sigmas[first]))
  }

  /// The rows of a step, one per draw; the memory holds the sum over earlier draws.
  private func edit(
    from sigma: Double, to next: Double, _ schedule: some FlowSchedule
  ) -> [StepPlan.Row] {
    let target = guided(
      .conditional, by: targetScale, sample: 1, source: -sigma, noise: sigma)
    let source = guided(.source, by: sourceScale, sample: 0, source: 1 - sigma, noise: sigma)
    let evaluations = target + source.map(\.negated)
    return (1...drawCount).map { draw in
      let isLast = draw == drawCount
      var row = schedule.row(
        at: sigma, velocity: isLast ? (next - sigma) / Double(drawCount) : 0,
        evaluations: evaluations)
      if isLast, drawCount > 1 { row.memory = row.output }
      row.memoryDecay = draw == 1 ? 0 : 1
      row.level = .clean
      return row
    }
  }

  /// `unconditional + scale * (prompt - unconditional)`, without terms of weight 0.
  private func guided(
    _ role: StepPlan.Evaluation.Role, by scale: Double, sample: Double, source: Double = 0,
    noise: Double = 0
  ) -> [StepPlan.Evaluation] {
    [(role, scale), (.unconditional, 1 - scale)].filter { $0.1 != 0 }.map { role, weight in
      StepPlan.Evaluation(role, weight: weight, sample: sample, source: source, noise: noise)
    }
  }
}

extension StepPlan.Evaluation {
  /// The same with the opposite weight.
  fileprivate var negated: StepPlan.Evaluation {
    var evaluation = self
    evaluation.weight = -weight
    return evaluation
  }
}
