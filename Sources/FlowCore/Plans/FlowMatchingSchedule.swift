/// The schedule of rectified flows that predict `noise - data`: Stable Diffusion 3, FLUX, the
/// starter.
///
/// Gives the sigmas of diffusers' `FlowMatchEulerDiscreteScheduler` (0.42), whose options these
/// are.
public struct FlowMatchingSchedule: FlowSchedule, Equatable {
  /// The spacing of the sigmas before they are shifted.
  public enum Spacing: String, Sendable, CaseIterable {
    /// The spacing of diffusers if no sigmas are given: from the shifted first training sigma to
    /// the shifted last one, then shifted again. The last evaluation is close to clean data.
    case diffusers
    /// `1, 1 - 1/N ... 1/N`, shifted once: used by FLUX, and suited to very few steps.
    case uniform
  }

  /// Another spacing of the sigmas between the first and the last.
  public enum Respacing: String, Sendable, CaseIterable {
    /// Karras et al., 2022 (arXiv:2206.00364), equation 5 with rho = 7.
    case karras
    /// Evenly in the logarithm of sigma.
    case exponential
  }

  /// The number of training timesteps: a network reads `sigma * trainingTimesteps`.
  public var trainingTimesteps = 1000
  /// The ratio of the static shift, greater than 0; 3 for Stable Diffusion 3.
  public var shift = 1.0
  /// The exponential shift for the image's size; replaces `shift` if the model needs it.
  public var dynamicShift: TimeShift?
  /// The spacing of the sigmas.
  public var spacing = Spacing.diffusers
  /// Another spacing between the first sigma and the last.
  public var respacing: Respacing?
  /// The sigma of the last evaluation, if the model specifies one.
  public var terminalSigma: Double?
  /// Whether each step replaces its noise with fresh noise (`stochastic_sampling`).
  public var isStochastic = false

  /// Creates the schedule with diffusers' defaults.
  public init() {}

  /// 1: the networks predict `noise - data`.
  public var outputSign: Double { 1 }

  /// The timestep that the network reads, `sigma * trainingTimesteps`.
  public func timestep(sigma: Double) -> Float { Float(sigma * Double(trainingTimesteps)) }

  /// The sigmas of a plan.
  ///
  /// At a strength below 1 they are the last ones of a longer grid of `stepCount / strength` steps,
  /// as in diffusers. Any strength is allowed: the same formulas are evaluated at fractional
  /// positions of the grid.
  public func grid(stepCount: Int, strength: Double = 1) throws(PlanError) -> TimeGrid {
    try checkStepCount(stepCount, of: "the flow-matching schedule")
    try checkStrength(strength)
    let wholeCount = Double(stepCount) / strength
    let skipped = wholeCount - Double(stepCount)
    // In a grid of one step, the last sigma is the first.
    let time = spaced(stepCount: wholeCount)
    var sigmas = (0..<stepCount).map { time(skipped + Double($0)) }
    sigmas.append(0)
    // Rounding may leave the first sigma slightly above 1.
    if sigmas[0] > 1, sigmas[0] < 1 + 1e-9 { sigmas[0] = 1 }
    let descends = zip(sigmas, sigmas.dropFirst()).allSatisfy { $0 > $1 }
    guard sigmas.allSatisfy(\.isFinite), descends, sigmas[0] <= 1 else {
      throw PlanError(
        code: .timesInvalid,
        message: "the options of the flow-matching schedule (shift, shift_terminal, "
          + "num_train_timesteps ...) give no sigmas that decrease from 1 to 0: "
          + "\(sigmas.prefix(6).map { Float($0) })")
    }
    return TimeGrid(sigmas: sigmas)
  }

  /// The sigma at a position of a grid, from 0 up to the number of steps less 1.
  private func spaced(stepCount: Double) -> (_ place: Double) -> Double {
    let shift = dynamicShift ?? .ratio(shift)
    let first = dynamicShift == nil ? shift(1) : 1
    let trainingEnd = 1 / Double(trainingTimesteps)
    let last = dynamicShift == nil ? shift(trainingEnd) : trainingEnd
    func fraction(_ place: Double) -> Double { stepCount > 1 ? place / (stepCount - 1) : 0 }
    func shifted(_ place: Double) -> Double {
      switch spacing {
      case .diffusers: shift(first + (last - first) * fraction(place))
      case .uniform: shift(1 - place / stepCount)
      }
    }
    let end = terminalSigma.map { (1 - shifted(stepCount - 1)) / (1 - $0) }
    func stretched(_ place: Double) -> Double {
      guard let end, stepCount > 1 else { return shifted(place) }
      return 1 - (1 - shifted(place)) / end
    }
    guard let respacing else { return stretched }
    let ends = (first: stretched(0), last: stretched(stepCount - 1))
    return { respacing.time(between: ends.first, and: ends.last, at: fraction($0)) }
  }

  /// Compiles a plan.
  public func plan(
    stepCount: Int, solver: Solver, strength: Double
  ) throws(PlanError) -> StepPlan {
    let grid = try grid(stepCount: stepCount, strength: strength)
    let start = StepPlan.Start.flow(sigma: grid.sigmas[0])
    try solver.check()
    guard isStochastic else {
      return StepPlan(
        rows: solver.rows(over: grid, timestep: timestep(sigma:)), stepCount: stepCount,
        start: start)
    }
    guard solver == .euler else { throw .solver(solver, of: "stochastic flow matching") }
    let rows = zip(grid.sigmas, grid.sigmas.dropFirst()).map { sigma, next in
      StepPlan.Row(
        timestep: timestep(sigma: sigma), sample: 1 - next, output: -sigma * (1 - next),
        noise: next, residual: .velocity(sigma: sigma), level: .flow(sigma: sigma))
    }
    return StepPlan(rows: rows, stepCount: stepCount, start: start)
  }
}
