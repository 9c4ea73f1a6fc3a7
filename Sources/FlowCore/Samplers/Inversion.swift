extension FlowSchedule {
  /// Compiles the plan from an image's clean latents to noise, with rising sigma.
  ///
  /// The trajectory follows the velocity under a prompt that describes the image, without guidance.
  /// A plan with the same steps and strength that starts at its last sample returns to the image
  /// (`Trajectory(initial:)`). The error of the round trip decreases with the solver's order:
  /// RF-Solver (Wang et al., 2024, arXiv:2411.04746) inverts with `midpoint`, FireFlow (Deng et
  /// al., 2024, arXiv:2412.07517) with `fireFlow`.
  ///
  /// - Parameters:
  ///   - stepCount: the number of steps, those of ``grid(stepCount:strength:)`` in reverse.
  ///   - solver: the solver, which must not draw noise.
  ///   - strength: the denoising strength of the way back, above 0 and at most 1.
  ///   - firstSigma: the sigma at which the clean latents are read, below that of the second time;
  ///     slightly above 0 for networks that were not trained at 0.
  /// - Throws: `PlanError` if the schedule has no such times, or the solver draws noise.
  public func inversion(
    stepCount: Int, solver: Solver = .euler, strength: Double = 1, from firstSigma: Double = 0
  ) throws(PlanError) -> StepPlan {
    try solver.check()
    guard !solver.isStochastic else {
      throw PlanError(
        code: .solverUnsupported,
        message: "an inversion takes a solver that draws no noise, got \(solver.rawValue)")
    }
    var sigmas = try grid(stepCount: stepCount, strength: strength).reversed.sigmas
    guard firstSigma >= 0, firstSigma < sigmas[1] else {
      throw PlanError(
        code: .timesInvalid,
        message: "an inversion of \(stepCount) steps starts at a sigma of 0 up to "
          + "\(Float(sigmas[1])), got \(firstSigma)")
    }
    sigmas[0] = max(sigmas[0], firstSigma)
    return StepPlan(
      rows: solver.rows(
        over: TimeGrid(rising: sigmas), sign: outputSign, timestep: timestep(sigma:)),
      stepCount: stepCount, start: .clean)
  }
}
