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

  /// Compiles the plan of the last steps of a schedule, as the paper counts them.
  ///
  /// - Parameters:
  ///   - stepCount: the steps of the whole schedule, at least `editedSteps`.
  ///   - schedule: the model's schedule.
  /// - Throws: `PlanError` if the numbers of steps are inconsistent.
  public func plan(
    stepCount: Int, schedule: some FlowSchedule
  ) throws(PlanError) -> StepPlan {
    let grid = try schedule.grid(stepCount: stepCount, strength: 1)
    guard (1...stepCount).contains(editedSteps) else {
      throw PlanError(
        code: .stepCountInvalid,
        message: "FlowEdit takes 1 to \(stepCount) steps of \(stepCount), got \(editedSteps)")
    }
    return try plan(sigmas: Array(grid.sigmas.suffix(editedSteps + 1)), schedule: schedule)
  }

  /// Compiles a plan over the last part of a schedule.
  ///
  /// - Parameters:
  ///   - stepCount: the steps that are taken, in place of `editedSteps`.
  ///   - strength: the part of the way from noise to data that they cover, above 0 and at most 1:
  ///     `n_max` over all steps.
  ///   - schedule: the model's.
  /// - Throws: `PlanError` where the schedule has no such times.
  public func plan(
    stepCount: Int, strength: Double, schedule: some FlowSchedule
  ) throws(PlanError) -> StepPlan {
    try plan(
      sigmas: schedule.grid(stepCount: stepCount, strength: strength).sigmas, schedule: schedule)
  }

  private func plan(
    sigmas: [Double], schedule: some FlowSchedule
  ) throws(PlanError) -> StepPlan {
    let stepCount = sigmas.count - 1
    guard (0...stepCount).contains(finalSteps), drawCount >= 1 else {
      throw PlanError(
        code: .stepCountInvalid,
        message: "of \(stepCount) steps FlowEdit takes the last 0 to \(stepCount) with the target "
          + "alone, and 1 draw or more; got \(finalSteps) and \(drawCount)")
    }
    let firstFinal = stepCount - finalSteps
    var rows: [StepPlan.Row] = []
    for step in 0..<stepCount {
      let (sigma, next) = (sigmas[step], sigmas[step + 1])
      guard step < firstFinal else {
        rows.append(
          schedule.row(
            at: sigma, velocity: next - sigma,
            evaluations: guided(.conditional, by: targetScale, sample: 1)))
        continue
      }
      rows += edit(from: sigma, to: next, schedule)
    }
    if firstFinal > 0, finalSteps > 0 {
      // From here on the sample is noisy: the image, with the noise of this sigma in place of
      // none.
      rows[rows.count - 1 - finalSteps].source = -sigmas[firstFinal]
      rows[rows.count - 1 - finalSteps].noise = sigmas[firstFinal]
    }
    return StepPlan(
      rows: rows, stepCount: stepCount, start: firstFinal > 0 ? .clean : .flow(sigma: sigmas[0]))
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
