/// The schedule of PeRFlow: a flow that is straight within each of a few time windows.
///
/// Yan et al., 2024 (arXiv:2405.07510); times and windows as in `scheduler_perflow.py` of
/// magic-research/piecewise-rectified-flow. The velocity is written in closed form, `((lambda - 1)
/// * sample + eta * output) / (lambda * (t - start) + end - t)`. It has no division by the distance
/// to the window's end, and so is accurate at the last timestep of a window.
public struct PiecewiseFlowSchedule: Schedule, Equatable {
  /// The number of windows, 1 or more; the published weights have 4.
  public var windowCount = 4
  /// The network's prediction type; `diffEps` for SD1.5, `ddimEps` for SDXL, `velocity` for SD2.1.
  public var prediction = Prediction.diffEps
  /// The betas of the teacher's training.
  public var betas = BetaSchedule()

  /// Creates the schedule of the SD1.5 weights.
  public init() {}

  /// The windows that a plan of this strength crosses, the first of them possibly in part.
  private func windows(strength: Double) -> [TimeWindow] {
    TimeWindow.uniform(count: windowCount).filter { $0.end < strength - 1e-9 }
  }

  /// The timesteps of a plan, each with its window.
  ///
  /// If the steps do not divide evenly, the noisiest windows take the remainder. Timesteps are
  /// truncated to integers, as in the networks' training.
  func visits(
    stepCount: Int, strength: Double = 1
  ) -> [(timestep: Int, window: TimeWindow)] {
    let windows = windows(strength: strength)
    return windows.enumerated().flatMap { index, window in
      let count = stepCount / windows.count + (index < stepCount % windows.count ? 1 : 0)
      let start = min(window.start, strength)
      return (0..<count).map { step in
        let time = start + (window.end - start) * Double(step) / Double(count)
        return (Int(time * 1000 + 1e-6), window)
      }
    }
  }

  /// Compiles a plan, with at least one step for each window that it crosses.
  public func plan(
    stepCount: Int, solver: Solver, strength: Double
  ) throws(PlanError) -> StepPlan {
    try checkStrength(strength)
    let count = windows(strength: strength).count
    let name =
      count == windowCount
      ? "the piecewise schedule of \(windowCount) windows"
      : "strength \(strength), which crosses \(count) of \(windowCount) windows,"
    try checkStepCount(stepCount, of: name, atLeast: count)
    guard solver == .euler else { throw .solver(solver, of: "the piecewise schedule") }
    let visits = visits(stepCount: stepCount, strength: strength)
    guard visits.allSatisfy({ Double($0.timestep) / 1000 > $0.window.end + 1e-9 }) else {
      throw PlanError(
        code: .stepCountInvalid,
        message: "\(stepCount) steps are too many for \(windowCount) windows of whole timesteps; "
          + "use fewer steps")
    }
    let alphas = betas.alphas()
    let ends = visits.dropFirst().map(\.timestep) + [0]
    let rows = zip(visits, ends).map { visit, next in
      row(from: visit.timestep, to: next, in: visit.window, alphas: alphas)
    }
    return StepPlan(rows: rows, stepCount: stepCount, start: start(at: visits[0], alphas))
  }

  /// The training's sample inside a window: on the straight line between the window's two ends,
  /// which mix the same data and noise (`perflow_accelerate_sd.py` of
  /// magic-research/piecewise-rectified-flow).
  private func start(
    at visit: (timestep: Int, window: TimeWindow), _ alphas: [Double]
  ) -> StepPlan.Start {
    let window = visit.window
    let noisy = StepPlan.Start.diffusion(alpha: alphas[Self.index(of: window.start)])
    let clean = StepPlan.Start.diffusion(alpha: alphas[Self.index(of: window.end)])
    let fraction = (Double(visit.timestep) / 1000 - window.end) / (window.start - window.end)
    return StepPlan.Start(
      reference: clean.reference + fraction * (noisy.reference - clean.reference),
      noise: clean.noise + fraction * (noisy.noise - clean.noise))
  }

  private func row(
    from timestep: Int, to next: Int, in window: TimeWindow, alphas: [Double]
  ) -> StepPlan.Row {
    let time = Double(timestep) / 1000
    let duration = Double(next) / 1000 - time
    let map = windowMap(of: window, alphas: alphas)
    // The velocity, `a * sample + b * output`.
    let denominator = map.lambda * (time - window.start) + (window.end - time)
    let velocity: (sample: Double, output: Double) =
      prediction == .velocity ? (0, 1) : ((map.lambda - 1) / denominator, map.eta / denominator)
    // The velocity to the reference's sample at the window's end: `(end - sample) / (window.end -
    // time)`, with `end = signal * reference + noise * first noise`.
    let end = alphas[Self.index(of: window.end)]
    let scale = 1 / ((window.end - time) * velocity.output)
    return .init(
      timestep: Float(timestep), sample: 1 + duration * velocity.sample,
      output: duration * velocity.output,
      residual: .init(
        sample: -scale, reference: scale * end.squareRoot(), noise: scale * (1 - end).squareRoot(),
        offset: -velocity.sample / velocity.output),
      level: start(at: (timestep, window), alphas))
  }

  /// The map of a whole window, `end = lambda * start + eta * output`.
  func windowMap(of window: TimeWindow, alphas: [Double]) -> (lambda: Double, eta: Double) {
    let start = alphas[Self.index(of: window.start)]
    let end = alphas[Self.index(of: window.end)]
    let gamma = (start / end).squareRoot()
    return switch prediction {
    case .diffEps, .velocity: (1 / gamma, -(1 - gamma * gamma).squareRoot() / gamma)
    case .ddimEps: (1 / gamma, (1 - end).squareRoot() - (end / start * (1 - start)).squareRoot())
    }
  }

  /// The training timestep of a window's boundary.
  private static func index(of time: Double) -> Int {
    // Truncated as in the training code; the millionth prevents 0.2 * 1000 from being truncated to
    // 199.
    max(Int(time * 1000 - 1 + 1e-6), 0)
  }
}
