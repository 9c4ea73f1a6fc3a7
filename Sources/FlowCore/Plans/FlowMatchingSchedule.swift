/// The schedule of rectified flows that predict `noise - data`: Stable Diffusion 3, FLUX, ours.
///
/// Gives the times of diffusers' `FlowMatchEulerDiscreteScheduler` (0.42), whose options these
/// are.
public struct FlowMatchingSchedule: Schedule, Equatable {
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
  /// The exponential shift of one picture's size; replaces `shift` where the model asks for it.
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

  /// The times of so many steps.
  public func grid(stepCount: Int) throws(PlanError) -> TimeGrid {
    try checkStepCount(stepCount, of: "the flow-matching schedule")
    let shift = dynamicShift ?? .ratio(shift)
    let first = dynamicShift == nil ? shift(1) : 1
    let trainingEnd = 1 / Double(trainingTimesteps)
    let last = dynamicShift == nil ? shift(trainingEnd) : trainingEnd
    var sigmas =
      switch spacing {
      case .diffusers: linearSpace(from: first, to: last, count: stepCount)
      case .uniform: (0..<stepCount).map { 1 - Double($0) / Double(stepCount) }
      }
    sigmas = sigmas.map { shift($0) }
    if let terminalSigma, stepCount > 1 {
      let scale = (1 - sigmas[stepCount - 1]) / (1 - terminalSigma)
      sigmas = sigmas.map { 1 - (1 - $0) / scale }
    }
    if let respacing { sigmas = respacing.layOut(sigmas) }
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

  /// Compiles the plan of so many steps.
  public func plan(stepCount: Int, solver: Solver) throws(PlanError) -> StepPlan {
    let grid = try grid(stepCount: stepCount)
    let timestep = { (sigma: Double) in Float(sigma * Double(trainingTimesteps)) }
    guard isStochastic else {
      return StepPlan(rows: solver.rows(over: grid, timestep: timestep), stepCount: stepCount)
    }
    guard solver == .euler else { throw .solver(solver, of: "stochastic flow matching") }
    let rows = zip(grid.sigmas, grid.sigmas.dropFirst()).map { sigma, next in
      StepPlan.Row(
        timestep: timestep(sigma), sample: 1 - next, output: -sigma * (1 - next), noise: next,
        residual: .velocity(sigma: sigma))
    }
    return StepPlan(rows: rows, stepCount: stepCount)
  }
}
