/// A schedule of networks whose output is the velocity of a straight flow, or its negative.
///
/// Plans that go from data to noise, or edit an image, can be compiled for these alone.
public protocol FlowSchedule: Schedule {
  /// 1 where the network's output is `noise - data`, -1 where it is `data - noise`.
  var outputSign: Double { get }

  /// The times of so many steps from noise to data.
  ///
  /// - Parameters:
  ///   - stepCount: the number of steps.
  ///   - strength: how much of the way is gone, above 0 and at most 1.
  /// - Throws: `PlanError` where the schedule has no such times.
  func grid(stepCount: Int, strength: Double) throws(PlanError) -> TimeGrid

  /// The number that the network reads as time.
  ///
  /// - Parameter sigma: the fraction of noise, 0 to 1.
  func timestep(sigma: Double) -> Float
}

extension FlowSchedule {
  /// A row at a sigma, whose output coefficient and residual are those of the velocity
  /// `noise - data`.
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
