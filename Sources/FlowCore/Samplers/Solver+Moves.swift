extension Solver {
  /// One evaluation of the velocity and the move along it.
  struct Move {
    var sample = 1.0
    var output: Double
    var noise = 0.0

    /// Mixes the predicted data and noise at another sigma: `kept` of the noise stays, and `fresh`
    /// noise is added.
    static func refreshing(
      from sigma: Double, to next: Double, kept: Double, fresh: Double
    ) -> Move {
      Move(
        sample: (1 - next) + next * kept,
        output: -(1 - next) * sigma + next * kept * (1 - sigma), noise: next * fresh)
    }
  }

  /// The move of a solver that draws noise; for others, Euler's.
  func stochasticMove(from sigma: Double, to next: Double) -> Move {
    switch self {
    case .noiseRefresh(let rate):
      return .refreshing(
        from: sigma, to: next, kept: (1 - rate * rate).squareRoot(), fresh: rate)
    case .stochasticCurved(let rate):
      let kept = 1 - rate.value(from: sigma, to: next)
      return .refreshing(
        from: sigma, to: next, kept: kept, fresh: (1 - kept * kept).squareRoot())
    case .overshooting(let scale):
      let beyond = max(0, next * (1 - scale * (sigma - next)))
      let back = (1 - next) / (1 - beyond)
      let spread = next * next - back * back * beyond * beyond
      return Move(
        sample: back, output: back * (beyond - sigma), noise: max(spread, 0).squareRoot())
    case .stochastic(let equation): return equation.move(from: sigma, to: next)
    case .euler, .heun, .adamsBashforth2, .midpoint, .fireFlow, .velocityAveraging, .taylorSeer:
      return Move(output: next - sigma)
    }
  }
}

extension Solver.ReplacementRate {
  func value(from sigma: Double, to next: Double) -> Double {
    switch self {
    case .constant(let rate): rate
    case .ddpm: 1 - (1 - sigma) * next / ((1 - next) * sigma)
    }
  }
}
