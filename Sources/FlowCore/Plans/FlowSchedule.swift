/// A schedule of networks whose output is the velocity of a straight flow, or its negative.
///
/// Only these can have plans that invert or edit an image.
public protocol FlowSchedule: Schedule {
  /// 1 if the network's output is `noise - data`, -1 if it is `data - noise`.
  var outputSign: Double { get }

  /// The sigmas of a plan from noise to data.
  ///
  /// - Parameters:
  ///   - stepCount: the number of steps.
  ///   - strength: denoising strength, above 0 and at most 1.
  /// - Throws: `PlanError` if the schedule has no such sigmas.
  func grid(stepCount: Int, strength: Double) throws(PlanError) -> TimeGrid

  /// The timestep that the network reads.
  ///
  /// - Parameter sigma: the fraction of noise, 0 to 1.
  func timestep(sigma: Double) -> Float
}

extension FlowSchedule {
  /// A row at a sigma, whose output coefficient and residual are those of the velocity `noise -
  /// data`.
  func row(
    at sigma: Double, sample: Double = 1, velocity: Double,
    evaluations: [StepPlan.Evaluation] = []
  ) -> StepPlan.Row {
    StepPlan.Row(
      timestep: timestep(sigma: sigma), sample: sample, output: outputSign * velocity,
      evaluations: evaluations, residual: .velocity(sigma: sigma, sign: outputSign),
      level: .flow(sigma: sigma))
  }
}
