/// The schedule of rectified flows that predict `noise - data`: Stable Diffusion 3, FLUX, ours.
///
/// Gives the times of diffusers' `FlowMatchEulerDiscreteScheduler` (0.42), whose options these
/// are.
public struct FlowMatchingSchedule: FlowSchedule, Equatable {
  /// How the times are laid out before they are shifted.
  public enum Spacing: String, Sendable, CaseIterable {
    /// As diffusers does when no times are given: from the shifted first training time to the
    /// shifted last one, then shifted again. The last evaluation is close to clean data.
    case diffusers
    /// `1, 1 - 1/N ... 1/N`, shifted once: what FLUX uses, and what suits very few steps.
    case uniform
  }

  /// How the times between the first and the last are laid out anew.
  public enum Respacing: String, Sendable, CaseIterable {
    /// Karras et al., 2022 (arXiv:2206.00364), equation 5 with rho = 7.
    case karras
    /// Evenly in the logarithm of sigma.
    case exponential
  }

  /// The number of training timesteps: a network reads `sigma * trainingTimesteps`.
  public var trainingTimesteps = 1000
  /// The static shift's ratio, greater than 0; 3 for Stable Diffusion 3.
  public var shift = 1.0
  /// The exponential shift of one image's size; replaces `shift` where the model asks for it.
  public var dynamicShift: TimeShift?
  /// The layout of the times.
  public var spacing = Spacing.diffusers
  /// Another layout between the first time and the last.
  public var respacing: Respacing?
  /// Where the last evaluation is moved to, in sigma, if the model asks for it.
  public var terminalSigma: Double?
  /// Whether each step forgets its noise and draws anew (`stochastic_sampling`).
  public var isStochastic = false

  /// Creates the schedule with diffusers' defaults.
  public init() {}

  /// 1: the networks predict `noise - data`.
  public var outputSign: Double { 1 }

  /// The number that the network reads as time, `sigma * trainingTimesteps`.
  public func timestep(sigma: Double) -> Float { Float(sigma * Double(trainingTimesteps)) }

  /// The times of so many steps.
  ///
  /// Where strength is below 1 they are the last ones of a longer grid of `stepCount / strength`
  /// steps, as diffusers takes them, for any strength: between whole numbers of steps the same
  /// formulas are read in between.
  public func grid(stepCount: Int, strength: Double = 1) throws(PlanError) -> TimeGrid {
    try checkStepCount(stepCount, of: "the flow-matching schedule")
    try checkStrength(strength)
    let wholeCount = Double(stepCount) / strength
    let skipped = wholeCount - Double(stepCount)
    // Of a whole way of one step, the last time is the first.
    let time = spaced(stepCount: wholeCount)
    var sigmas = (0..<stepCount).map { time(skipped + Double($0)) }
    sigmas.append(0)
    // Rounding may leave the first time a hair above 1.
    if sigmas[0] > 1, sigmas[0] < 1 + 1e-9 { sigmas[0] = 1 }
    let descends = zip(sigmas, sigmas.dropFirst()).allSatisfy { $0 > $1 }
    guard sigmas.allSatisfy(\.isFinite), descends, sigmas[0] <= 1 else {
      throw PlanError(
        code: .timesInvalid,
        message: "the options of the flow-matching schedule (shift, shift_terminal, "
          + "num_train_timesteps ...) make no times that fall from 1 to 0: "
          + "\(sigmas.prefix(6).map { Float($0) })")
    }
    return TimeGrid(sigmas: sigmas)
  }

  /// The time at each place of a way of so many steps, from 0 up to the number of steps less 1.
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

  /// Compiles the plan of so many steps.
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
