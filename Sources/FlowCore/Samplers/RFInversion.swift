/// Editing by a controlled inversion: towards noise, and back towards the source for a while.
///
/// RF-Inversion (Rout et al., 2024, arXiv:2410.10792, algorithms 1 and 2;
/// `pipeline_rf_inversion_sde.py` of LituRout/RF-Inversion).
public struct RFInversion: Hashable, Sendable {
  /// How much of the way to the noise is straight (`gamma`), 0 to 1; the rest follows the network.
  public var noisePull = 0.5
  /// How much of the way back is straight to the source (`eta`), 0 to 1, while it is pulled.
  public var sourcePull = 0.9
  /// The part of the steps back, from noise on, that are pulled to the source, 0 to 1.
  public var pulledPart = 0.25

  /// Creates the editing of FLUX.1-dev, which takes 28 steps each way.
  public init() {}

  /// Compiles the plan from the source's clean latents to noise.
  ///
  /// `v` being the velocity without a prompt and y the noise that the trajectory began with,
  /// `next = sample + (next sigma - sigma) * (v + pull * ((y - sample) / (1 - sigma) - v))`.
  /// A trajectory reads the unconditional conditioning alone.
  ///
  /// - Parameters:
  ///   - stepCount: the number of steps.
  ///   - schedule: the model's.
  /// - Throws: `PlanError` where the schedule has no such times.
  public func inversion(
    stepCount: Int, schedule: some FlowSchedule
  ) throws(PlanError) -> StepPlan {
    let sigmas = try schedule.grid(stepCount: stepCount, strength: 1).reversed.sigmas
    let rows = zip(sigmas, sigmas.dropFirst()).map { sigma, next in
      let straight = noisePull * (next - sigma) / (1 - sigma)
      var row = schedule.row(
        at: sigma, sample: 1 - straight, velocity: (1 - noisePull) * (next - sigma),
        evaluations: [.init(.unconditional)])
      row.firstNoise = straight
      return row
    }
    return StepPlan(
      rows: rows, stepCount: stepCount, start: StepPlan.Start(reference: 1, noise: 0))
  }

  /// Compiles the plan back to an image, under the target prompt and the trajectory's guidance.
  ///
  /// A trajectory reads the source's latents, and begins where the inversion ended.
  ///
  /// - Parameters:
  ///   - stepCount: the number of steps.
  ///   - schedule: the model's.
  /// - Throws: `PlanError` where the schedule has no such times.
  public func plan(
    stepCount: Int, schedule: some FlowSchedule
  ) throws(PlanError) -> StepPlan {
    let pulledCount = Int(pulledPart * Double(stepCount))
    let sigmas = try schedule.grid(stepCount: stepCount, strength: 1).sigmas
    let rows = (0..<stepCount).map { step in
      schedule.row(
        from: sigmas[step], to: sigmas[step + 1], pull: step < pulledCount ? sourcePull : 0)
    }
    return StepPlan(rows: rows, stepCount: stepCount)
  }
}

extension FlowSchedule {
  /// Euler's step along the velocity, in part replaced by the one straight to the source:
  /// `v + pull * ((sample - source) / sigma - v)`.
  func row(from sigma: Double, to next: Double, pull: Double) -> StepPlan.Row {
    let straight = pull * (next - sigma) / sigma
    var row = row(at: sigma, sample: 1 + straight, velocity: (1 - pull) * (next - sigma))
    row.source = -straight
    return row
  }
}
