extension Solver {
  /// The rows that follow a velocity over a grid.
  ///
  /// - Parameters:
  ///   - grid: the times, in sigma.
  ///   - sign: 1 if the output is `noise - data`, -1 if it is `data - noise`.
  ///   - timestep: the number that the network reads for a sigma.
  /// - Precondition: the times descend, unless the solver draws no noise.
  func rows(
    over grid: TimeGrid, sign: Double = 1, timestep: (Double) -> Float
  ) -> [StepPlan.Row] {
    precondition(!grid.isRising || !isStochastic, "\(rawValue) needs times that fall")
    /// A row at a sigma. All coefficients refer to the velocity.
    func row(
      at sigma: Double, sample: Double = 1, output: Double, memory: Double = 0, noise: Double = 0
    ) -> StepPlan.Row {
      StepPlan.Row(
        timestep: timestep(sigma), sample: sample, output: sign * output, memory: sign * memory,
        noise: noise, residual: .velocity(sigma: sigma, sign: sign), level: .flow(sigma: sigma))
    }
    let steps = zip(grid.sigmas, grid.sigmas.dropFirst()).map { Step(start: $0, end: $1) }
    switch self {
    case .euler: return steps.map { row(at: $0.start, output: $0.length) }
    case .heun:
      return steps.flatMap { step -> [StepPlan.Row] in
        let first = row(at: step.start, output: step.length)
        // At the clean end there is no second evaluation (as in k-diffusion).
        guard step.end > 0 else { return [first] }
        return [first, row(at: step.end, output: step.length / 2, memory: -step.length / 2)]
      }
    case .adamsBashforth2:
      return steps.indices.map { index in
        let length = steps[index].length
        let half = index > 0 ? length / steps[index - 1].length / 2 : 0
        return row(
          at: steps[index].start, output: length * (1 + half), memory: -length * half)
      }
    case .midpoint:
      return steps.flatMap { step in
        [
          row(at: step.start, output: step.length / 2),
          row(at: step.middle, output: step.length, memory: -step.length / 2),
        ]
      }
    case .fireFlow:
      // Between rows the sample is held at the midpoint of a step.
      let first = row(at: steps[0].start, output: steps[0].length / 2)
      return [first]
        + steps.indices.map { index in
          let next = index + 1 < steps.count ? steps[index + 1].length : 0
          let length = steps[index].length
          return row(
            at: steps[index].middle, output: length + next / 2, memory: -length / 2)
        }
    case .velocityAveraging(let gain, let decay):
      return steps.indices.map { index in
        // The first velocity is its own average.
        guard index > 0 else { return row(at: steps[0].start, output: steps[0].length) }
        let length = steps[index].length
        var row = row(
          at: steps[index].start, output: gain * length, memory: (1 - gain) * length)
        (row.memoryDecay, row.memoryGain) = (decay, 1 - decay)
        return row
      }
    case .taylorSeer(let plan):
      return plan.evaluated(stepCount: steps.count).map { run in
        let weights = plan.weights(of: steps[run.steps].map(\.length), gap: run.gap)
        return row(
          at: steps[run.steps.lowerBound].start, output: weights.output, memory: weights.memory)
      }
    case .noiseRefresh, .stochasticCurved, .overshooting, .stochastic:
      return steps.map { step in
        let move = stochasticMove(from: step.start, to: step.end)
        return row(at: step.start, sample: move.sample, output: move.output, noise: move.noise)
      }
    }
  }

  /// A step of a grid, in sigma.
  private struct Step {
    let start: Double
    let end: Double

    /// Negative if the times descend.
    var length: Double { end - start }
    var middle: Double { start + length / 2 }
  }

  /// The number of rows, and thus of guided evaluations, for a number of steps down to data.
  ///
  /// - Parameter stepCount: the number of steps, at least 1.
  public func rowCount(stepCount: Int) -> Int {
    switch self {
    case .heun: 2 * stepCount - 1
    case .midpoint: 2 * stepCount
    case .fireFlow: stepCount + 1
    case .taylorSeer(let plan): plan.evaluated(stepCount: stepCount).count
    case .euler, .adamsBashforth2, .noiseRefresh, .stochasticCurved, .overshooting, .stochastic,
      .velocityAveraging:
      stepCount
    }
  }
}
