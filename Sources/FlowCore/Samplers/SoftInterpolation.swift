#if canImport(Glibc)
  private import Glibc
#elseif canImport(Musl)
  private import Musl
#else
  private import Darwin
#endif

/// Editing from pure noise with a pull towards the source that decreases over time.
///
/// `examples/editing_flux_dev.ipynb` of lqiang67/rectified-flow: the pull at `t = 1 - sigma` is
/// `pull * (1 - (exp(decay * t / end) - 1) / (exp(decay) - 1))`, and 0 beyond the end.
public struct SoftInterpolation: Hashable, Sendable {
  /// The weight of the straight path to the source in the first step, 0 to 1.
  public var pull = 0.93
  /// The end of the pull, as a fraction of the steps from noise to data, above 0 and at most 1.
  public var end = 0.25
  /// The shape of the decrease: 0 is linear, larger values decrease slowly at first.
  public var decay = 2.0

  /// Creates the notebook's settings for FLUX.1-dev.
  public init() {}

  /// Compiles the plan, under the target prompt and the trajectory's guidance.
  ///
  /// A trajectory needs the source's latents, and starts with noise.
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
      schedule.row(from: sigma, to: next, pull: pull(at: sigma))
    }
    return StepPlan(rows: rows, stepCount: stepCount)
  }

  /// The pull at a sigma.
  func pull(at sigma: Double) -> Double {
    let part = (1 - sigma) / end
    guard part <= 1 else { return 0 }
    let gone = abs(decay) < 1e-5 ? part : (exp(decay * part) - 1) / (exp(decay) - 1)
    return pull * (1 - gone)
  }
}
