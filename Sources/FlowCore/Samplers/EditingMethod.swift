/// How an image is edited by prompts without training: a way of its own through the noise levels.
///
/// All are plans of rows, so that edits and other images advance in one batch. They need a flow
/// (``FlowSchedule``), the clean latents of the image, and the prompt that describes it.
public enum EditingMethod: Hashable, Sendable {
  /// Along the difference of two velocities, without inversion.
  case flowEdit(FlowEdit = FlowEdit())
  /// As FlowEdit, pulled to the source.
  case flowAlign(FlowAlign = FlowAlign())
  /// To noise and back, pulled to a fixed noise and then to the source.
  case rfInversion(RFInversion = RFInversion())
  /// To noise under the source prompt and back under the target prompt, by one solver.
  ///
  /// With `fireFlow` it is FireFlow (Deng et al., 2024, arXiv:2412.07517), with `midpoint`
  /// RF-Solver (Wang et al., 2024, arXiv:2411.04746), both without the features that their
  /// repositories inject into attention.
  case inversion(Solver)
  /// From noise, pulled to the source.
  case softInterpolation(SoftInterpolation = SoftInterpolation())

  /// Whether it reads the prompt that describes the input image.
  public var readsSourcePrompt: Bool {
    switch self {
    case .flowEdit, .flowAlign, .inversion: true
    case .rfInversion, .softInterpolation: false
    }
  }

  /// Whether it reads the unconditional conditioning, beside what guidance reads: RF-Inversion's
  /// way to noise follows it, and FlowEdit extrapolates from it by scales other than 1.
  ///
  /// - Parameter readsScale: whether the network reads guidance scales itself.
  public func readsUnconditional(readsScale: Bool) -> Bool {
    switch self {
    case .flowEdit(let edit): !readsScale && (edit.sourceScale != 1 || edit.targetScale != 1)
    case .rfInversion: true
    case .flowAlign, .inversion, .softInterpolation: false
    }
  }

  /// Whether guided rows take the guidance of the request; where not, the method has scales of its
  /// own.
  public var takesGuidance: Bool {
    switch self {
    case .flowEdit, .flowAlign: false
    case .rfInversion, .inversion, .softInterpolation: true
    }
  }

  /// Compiles the plan of an edit.
  ///
  /// - Parameters:
  ///   - stepCount: the steps to the image; those that go to noise first are as many.
  ///   - strength: the part of the way from noise to data that they cover, above 0 and at most 1.
  ///   - schedule: the model's.
  ///   - readsScale: whether the network reads guidance scales itself, so that rows need none.
  /// - Throws: `PlanError` where the schedule has no such plan.
  public func plan(
    stepCount: Int, strength: Double, schedule: some FlowSchedule, readsScale: Bool
  ) throws(PlanError) -> StepPlan {
    switch self {
    case .flowEdit(var edit):
      if readsScale { (edit.sourceScale, edit.targetScale) = (1, 1) }
      return try edit.plan(stepCount: stepCount, strength: strength, schedule: schedule)
    case .flowAlign(let align):
      return try align.plan(stepCount: stepCount, strength: strength, schedule: schedule)
    case .rfInversion(let inversion):
      return try inversion.inversion(
        stepCount: stepCount, strength: strength, schedule: schedule
      ).followed(
        by: inversion.plan(stepCount: stepCount, strength: strength, schedule: schedule))
    case .inversion(let solver):
      let away = try schedule.inversion(
        stepCount: stepCount, solver: solver, strength: strength)
      let rows = away.rows.map { row in
        var row = row
        row.evaluations = [.init(.source)]
        return row
      }
      return try StepPlan(rows: rows, stepCount: stepCount, start: away.start).followed(
        by: schedule.plan(stepCount: stepCount, solver: solver, strength: strength))
    case .softInterpolation(let interpolation):
      return try interpolation.plan(
        stepCount: stepCount, strength: strength, schedule: schedule)
    }
  }
}
