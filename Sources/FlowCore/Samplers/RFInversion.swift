/// Editing by a controlled inversion: to noise, and back, with a pull towards the source at first.
///
/// RF-Inversion (Rout et al., 2024, arXiv:2410.10792, algorithms 1 and 2;
/// `pipeline_rf_inversion_sde.py` of LituRout/RF-Inversion).
public struct RFInversion: Hashable, Sendable {
  /// The weight of the straight path to the noise (`gamma`), 0 to 1; the rest follows the network.
  public var noisePull = 0.5
  /// The weight of the straight path to the source (`eta`), 0 to 1, while the pull is active.
  public var sourcePull = 0.9
  /// The fraction of the steps back, starting at noise, with an active pull, 0 to 1.
  public var pulledPart = 0.25

  /// Creates the settings for FLUX.1-dev with 28 steps in each direction.
  public init() {}

  /// Compiles the plan from the source's clean latents to noise.
  ///
  /// With `v` the velocity without a prompt and y the initial noise of the trajectory, `next =
  /// sample + (next sigma - sigma) * (v + pull * ((y - sample) / (1 - sigma) - v))`. A trajectory
  /// needs the unconditional conditioning only.
  ///
  /// - Parameters:
  ///   - stepCount: the number of steps.
  ///   - strength: how much of the way from noise to data they cover, above 0 and at most 1.
  ///   - schedule: the model's.
  /// - Throws: `PlanError` where the schedule has no such times.
  public func inversion(
    stepCount: Int, strength: Double = 1, schedule: some FlowSchedule
  ) throws(PlanError) -> StepPlan {
    let sigmas = try schedule.grid(stepCount: stepCount, strength: strength).reversed.sigmas
    let rows = zip(sigmas, sigmas.dropFirst()).map { sigma, next in
      let straight = noisePull * (next - sigma) / (1 - sigma)
      var row = schedule.row(
        at: sigma, sample: 1 - straight, velocity: (1 - noisePull) * (next - sigma),
        evaluations: [.init(.unconditional)])
      row.firstNoise = straight
      return row
    }
    return StepPlan(
      rows: rows, stepCount: stepCount, start: .clean)
  }

  /// Compiles the plan back to an image, under the target prompt and the trajectory's guidance.
  ///
  /// A trajectory needs the source's latents, and starts at the end of the inversion.
  ///
  /// - Parameters:
  ///   - stepCount: the number of steps.
  ///   - strength: how much of the way from noise to data they cover, above 0 and at most 1.
  ///   - schedule: the model's.
  /// - Throws: `PlanError` where the schedule has no such times.
  public func plan(
    stepCount: Int, strength: Double = 1, schedule: some FlowSchedule
  ) throws(PlanError) -> StepPlan {
    let pulledCount = Int(pulledPart * Double(stepCount))
    let sigmas = try schedule.grid(stepCount: stepCount, strength: strength).sigmas
    let rows = (0..<stepCount).map { step in
      schedule.row(
        from: sigmas[step], to: sigmas[step + 1], pull: step < pulledCount ? sourcePull : 0)
    }
    return StepPlan(rows: rows, stepCount: stepCount)
  }
}

extension FlowSchedule {
  /// Euler's step along the velocity, partly replaced by the straight step to the source.
  ///
  /// It follows `v + pull * ((sample - source) / sigma - v)`.
  func row(from sigma: Double, to next: Double, pull: Double) -> StepPlan.Row {
    let straight = pull * (next - sigma) / sigma
    var row = row(at: sigma, sample: 1 + straight, velocity: (1 - pull) * (next - sigma))
    row.source = -straight
    return row
  }
}
