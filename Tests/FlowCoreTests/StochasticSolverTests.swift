import FlowTestSupport
import Testing

@testable import FlowCore

/// Solvers that draw noise, on the flow from noise to Gaussian data, where everything is known.
@Suite struct StochasticSolverTests {
  /// The flow from unit noise to data of a mean and a standard deviation: Gaussian all the way.
  private struct GaussianFlow {
    let mean: Double
    let deviation: Double

    /// The variance of samples at a sigma.
    func variance(at sigma: Double) -> Double {
      let data = (1 - sigma) * deviation
      return data * data + sigma * sigma
    }

    /// The velocity at the mean and how it grows with the sample: expected noise less data.
    func velocity(at sigma: Double) -> (atMean: Double, slope: Double) {
      let slope = (sigma - (1 - sigma) * deviation * deviation) / variance(at: sigma)
      return (-mean, slope)
    }

    var field: KnownField {
      KnownField { [self] x, t, _ in
        let sigma = Double(t) / 1000
        let (atMean, slope) = velocity(at: sigma)
        return Float(atMean + slope * (Double(x) - (1 - sigma) * mean))
      }
    }

    /// The mean and variance after each row, worked out: a row is affine, and so is the velocity.
    func moments(along rows: [StepPlan.Row]) -> [(mean: Double, variance: Double)] {
      var (mean, variance) = (0.0, 1.0)
      return rows.map { row in
        let sigma = Double(row.timestep) / 1000
        let (atMean, slope) = velocity(at: sigma)
        let factor = row.sample + row.output * slope
        mean =
          factor * mean + row.output * (atMean - slope * (1 - sigma) * self.mean)
        variance = factor * factor * variance + row.noise * row.noise
        return (mean, variance)
      }
    }
  }

  private static let solvers: [Solver] =
    Solver.allCases.filter(\.isStochastic) + [
      .stochasticCurved(rate: .ddpm),
      .stochastic(StochasticEquation(noise: .stable, step: .euler)),
      .stochastic(StochasticEquation(noise: .euler, step: .curved)),
    ]

  private static func plan(_ solver: Solver, stepCount: Int) throws -> StepPlan {
    var schedule = FlowMatchingSchedule()
    schedule.spacing = .uniform
    return try schedule.plan(stepCount: stepCount, solver: solver)
  }

  @Test(
    "Many seeds have the mean and the variance that follow from the rows", arguments: solvers)
  func seeds(solver: Solver) throws {
    let flow = GaussianFlow(mean: 0.7, deviation: 0.5)
    let plan = try Self.plan(solver, stepCount: 6)
    let expected = flow.moments(along: plan.rows)
    let seedCount = 6
    var batch = StreamBatch<Float>(rowCapacity: seedCount)
    var field = flow.field
    for seed in 0..<seedCount {
      batch.admit(
        Trajectory(
          id: seed, plan: plan, prompted: 0, noise: GaussianNoise(seed: UInt64(seed)),
          shape: [4, 32, 32]))
    }
    for stage in plan.rows.indices {
      try batch.advance(along: &field)
      let trajectories = Array(batch.inFlight)
      let samples = trajectories.flatMap { $0.sample.scalars.map(Double.init) }
      let count = Double(samples.count)
      let mean = samples.reduce(0, +) / count
      let variance = samples.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / count
      // Standard errors of a mean and of a variance of Gaussian numbers; 5 of them are one miss
      // in millions.
      let right = expected[stage]
      #expect(abs(mean - right.mean) < 5 * (right.variance / count).squareRoot())
      #expect(abs(variance - right.variance) < 5 * right.variance * (2 / count).squareRoot())
    }
  }

  @Test("Where all data is one image, the spread at each sigma is that sigma, in any steps")
  func oneImage() throws {
    let flow = GaussianFlow(mean: 0.7, deviation: 0)
    for solver in Self.solvers {
      for stepCount in [1, 3, 10] {
        let rows = try Self.plan(solver, stepCount: stepCount).rows
        let sigmas = rows.dropFirst().map { Double($0.timestep) / 1000 } + [0]
        for (moments, sigma) in zip(flow.moments(along: rows), sigmas) {
          // A timestep is rounded to single precision.
          #expect(abs(moments.mean - (1 - sigma) * 0.7) < 1e-6, "\(solver)")
          guard case .stochastic(let equation) = solver, equation != .stable else {
            #expect(abs(moments.variance - sigma * sigma) < 1e-6, "\(solver)")
            continue
          }
          // These add more noise than they take away, the less the smaller the steps.
          #expect(moments.variance >= sigma * sigma - 1e-6, "\(solver)")
        }
      }
    }
  }

  @Test(
    "Where the noise that a step replaces shrinks with it, the data keeps its spread",
    arguments: [
      .stochasticCurved(rate: .ddpm), .overshooting(), .stochastic(.stable), .stochastic(.euler),
      .stochastic(StochasticEquation(noise: .stable, step: .euler)),
    ] as [Solver])
  func converges(solver: Solver) throws {
    let flow = GaussianFlow(mean: 0.7, deviation: 0.5)
    func error(_ stepCount: Int) throws -> Double {
      let rows = try Self.plan(solver, stepCount: stepCount).rows
      let sigmas = rows.dropFirst().map { Double($0.timestep) / 1000 } + [0]
      return zip(flow.moments(along: rows), sigmas)
        .map { abs($0.variance - flow.variance(at: $1)) }.max() ?? .infinity
    }
    let (coarse, fine) = (try error(200), try error(400))
    #expect(fine < 0.02)
    #expect(abs(coarse / fine - 2) < 0.3)
  }

  @Test("A part that every step replaces leaves out what the network does not know of the data")
  func constantRate() throws {
    // In a step of no length, q of the noise stays: the variance falls by A * B * (1 - q)^2 over
    // the variance, A that of the data's part and B of the noise's.
    let flow = GaussianFlow(mean: 0, deviation: 0.5)
    let (sigma, next) = (0.5, 0.5 - 1e-9)
    for (solver, kept) in [
      (Solver.noiseRefresh(rate: 0.6), 0.8), (.stochasticCurved(rate: .constant(0.2)), 0.8),
    ] {
      let move = solver.stochasticMove(from: sigma, to: next)
      let factor = move.sample + move.output * flow.velocity(at: sigma).slope
      let variance = factor * factor * flow.variance(at: sigma) + move.noise * move.noise
      let (data, noise) = (0.0625, 0.25)
      let lost = data * noise * (1 - kept) * (1 - kept) / (data + noise)
      #expect(abs(variance - (flow.variance(at: sigma) - lost)) < 1e-8)
    }
  }

  @Test("The last step is Euler's and draws nothing, but for the equation's Euler step")
  func lastRow() throws {
    for solver in Self.solvers {
      let row = try #require(try Self.plan(solver, stepCount: 4).rows.last)
      if case .stochastic(let equation) = solver, equation.step == .euler {
        #expect(row.noise > 0)
      } else {
        #expect(row.sample == 1 && row.noise == 0, "\(solver)")
        #expect(abs(row.output + 0.25) < 1e-12, "\(solver)")
      }
    }
  }

  @Test("Where nothing is replaced each step is Euler's; where all is, it is stochastic sampling")
  func ends() throws {
    let euler = try Self.plan(.euler, stepCount: 5).rows
    var still = StochasticEquation.stable
    still.scale = 0
    for solver in [
      Solver.noiseRefresh(rate: 0), .stochasticCurved(rate: .constant(0)),
      .overshooting(scale: 0), .stochastic(still),
    ] {
      for (row, expected) in zip(try Self.plan(solver, stepCount: 5).rows, euler) {
        #expect(abs(row.sample - 1) < 1e-12 && abs(row.output - expected.output) < 1e-12)
        #expect(row.noise < 1e-7)
      }
    }
    var stochastic = FlowMatchingSchedule()
    stochastic.spacing = .uniform
    stochastic.isStochastic = true
    let all = try stochastic.plan(stepCount: 5, solver: .euler).rows
    for (row, expected) in zip(try Self.plan(.noiseRefresh(rate: 1), stepCount: 5).rows, all) {
      #expect(abs(row.sample - expected.sample) < 1e-12)
      #expect(abs(row.output - expected.output) < 1e-12 && row.noise == expected.noise)
    }
  }
}
