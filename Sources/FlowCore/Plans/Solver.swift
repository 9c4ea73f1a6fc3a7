/// How a velocity is followed from one time to the next.
public enum Solver: String, Sendable, CaseIterable {
  /// A straight line along the velocity; first order, exact when the flow is straight.
  case euler
  /// The mean of the velocities at both ends; second order, two evaluations a step but the last.
  case heun
  /// Two-step Adams-Bashforth: extrapolates from the last two velocities; second order, one
  /// evaluation a step, the first step Euler's.
  case adamsBashforth2 = "ab2"

  /// The rows that follow a velocity over a grid.
  ///
  /// - Parameters:
  ///   - grid: the times, in sigma.
  ///   - sign: 1 where the output is `noise - data`, -1 where it is `data - noise`.
  ///   - timestep: the number the network reads for a sigma.
  func rows(
    over grid: TimeGrid, sign: Double = 1, timestep: (Double) -> Float
  ) -> [StepPlan.Row] {
    var rows: [StepPlan.Row] = []
    var previousDuration: Double?
    for (sigma, next) in zip(grid.sigmas, grid.sigmas.dropFirst()) {
      let duration = next - sigma
      let residual = StepPlan.Residual.velocity(sigma: sigma, sign: sign)
      switch self {
      case .euler:
        rows.append(
          .init(timestep: timestep(sigma), output: sign * duration, residual: residual))
      case .heun:
        rows.append(
          .init(timestep: timestep(sigma), output: sign * duration, residual: residual))
        // At the clean end the network has nothing left to say (k-diffusion ends so too).
        guard next > 0 else { continue }
        rows.append(
          .init(
            timestep: timestep(next), output: sign * duration / 2,
            memory: -sign * duration / 2, residual: .velocity(sigma: next, sign: sign)))
      case .adamsBashforth2:
        let half = previousDuration.map { duration / $0 / 2 } ?? 0
        rows.append(
          .init(
            timestep: timestep(sigma), output: sign * duration * (1 + half),
            memory: -sign * duration * half, residual: residual))
        previousDuration = duration
      }
    }
    return rows
  }
}
