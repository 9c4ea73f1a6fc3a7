#if canImport(Glibc)
  private import Glibc
#elseif canImport(Musl)
  private import Musl
#else
  private import Darwin
#endif

/// Editing from pure noise that is pulled to the source at first, and ever less.
///
/// `examples/editing_flux_dev.ipynb` of lqiang67/rectified-flow: the pull at `t = 1 - sigma` is
/// `pull * (1 - (exp(decay * t / end) - 1) / (exp(decay) - 1))`, and 0 beyond the end.
public struct SoftInterpolation: Hashable, Sendable {
  /// How much of the first step is straight to the source, 0 to 1.
  public var pull = 0.93
  /// Where the pull ends, as a part of the way from noise to data, above 0 and at most 1.
  public var end = 0.25
  /// How the pull falls: 0 evenly, above 0 slowly at first.
  public var decay = 2.0

  /// Creates the notebook's editing of FLUX.1-dev.
  public init() {}

  /// Compiles the plan, under the target prompt and the trajectory's guidance.
  ///
  /// A trajectory reads the source's latents, and begins with noise.
  ///
  /// - Parameters:
  ///   - stepCount: the number of steps.
  ///   - schedule: the model's.
  /// - Throws: `PlanError` where the schedule has no such times.
  public func plan(
    stepCount: Int, schedule: some FlowSchedule
  ) throws(PlanError) -> StepPlan {
    let sigmas = try schedule.grid(stepCount: stepCount, strength: 1).sigmas
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
