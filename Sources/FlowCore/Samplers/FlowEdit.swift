/// Editing without inversion: the image moves along the difference of two velocities.
///
/// FlowEdit (Kulikov et al., 2024, arXiv:2412.08629, algorithm 1; `FlowEdit_utils.py` of
/// fallenshock/FlowEdit). The velocity under the target prompt at
/// `image - sigma * source + sigma * noise` less that under the source prompt at
/// `(1 - sigma) * source + sigma * noise`, with noise drawn for each step. Both are guided.
/// A trajectory reads the source's latents, the conditionings of both prompts, and the unconditional
/// one where a scale is not 1.
public struct FlowEdit: Hashable, Sendable {
  /// How many steps of the schedule, counted from the clean end, are taken at all (`n_max`).
  public var editedSteps = 24
  /// How many of these, the last ones, follow the target's velocity alone (`n_min`).
  public var finalSteps = 0
  /// The number of draws that a step averages, each a row of the plan (`n_avg`).
  public var drawCount = 1
  /// The guidance scale under the source prompt; 1 for networks that read a scale themselves.
  public var sourceScale = 1.0
  /// The guidance scale under the target prompt; 1 for networks that read a scale themselves.
  public var targetScale = 1.0

  /// Creates the editing of FLUX.1-dev in 28 steps, whose network reads the scales 1.5 for the
  /// source and 5.5 for the target itself.
  public init() {}

  /// The editing of Stable Diffusion 3 in 50 steps.
  public static let stableDiffusion3: FlowEdit = {
    var edit = FlowEdit()
    (edit.editedSteps, edit.sourceScale, edit.targetScale) = (33, 3.5, 13.5)
    return edit
  }()

  /// Compiles the plan.
  ///
  /// - Parameters:
  ///   - stepCount: the steps of the whole schedule, `editedSteps` or more.
  ///   - schedule: the model's.
  /// - Throws: `PlanError` where the numbers of steps do not go together.
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
      // From here on the sample is noisy: the image, with the noise of this sigma in place of
      // none.
      rows[rows.count - 1 - finalSteps].source = -grid.sigmas[firstFinal]
      rows[rows.count - 1 - finalSteps].noise = grid.sigmas[firstFinal]
    }
    return StepPlan(
      rows: rows, stepCount: editedSteps,
      start: first < firstFinal
        ? StepPlan.Start(reference: 1, noise: 0) : .flow(sigma: grid.sigmas[first]))
  }

  /// The rows of a step, one for each draw; the sum over the earlier ones is in the memory.
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
      return row
    }
  }

  /// `unconditional + scale * (prompt - unconditional)`, without what has no weight.
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
