import FlowTestSupport
import Foundation
import Testing

@testable import FlowCore

@Suite struct FlowMatchingScheduleTests {
  private struct Case: Decodable {
    struct Configuration: Decodable {
      let shift: Double?
      let shift_terminal: Double?
      let use_karras_sigmas: Bool?
      let use_exponential_sigmas: Bool?
      let num_train_timesteps: Int?
    }
    let config: Configuration?
    let dynamic: String?
    let mu: Double?
    let steps: Int
    let sigmas: [Float]
    let timesteps: [Float]
  }

  @Test("Times are those of diffusers' FlowMatchEulerDiscreteScheduler, option by option")
  func diffusers() throws {
    let data = try Data(contentsOf: URL(filePath: Bundle.module.fixture("schedules.json")))
    let cases = try JSONDecoder().decode([Case].self, from: data)
    #expect(cases.count == 39)
    for item in cases {
      var schedule = FlowMatchingSchedule()
      schedule.shift = item.config?.shift ?? 1
      schedule.terminalSigma = item.config?.shift_terminal
      schedule.trainingTimesteps = item.config?.num_train_timesteps ?? 1000
      if item.config?.use_karras_sigmas == true { schedule.respacing = .karras }
      if item.config?.use_exponential_sigmas == true { schedule.respacing = .exponential }
      if let mu = item.mu {
        schedule.dynamicShift = item.dynamic == "linear" ? .ratio(mu) : .exponential(mu: mu)
        schedule.spacing = .uniform
      }
      let grid = try schedule.grid(stepCount: item.steps)
      // diffusers computes in single precision.
      expectClose(grid.sigmas.map(Float.init), item.sigmas, tolerance: 2e-6)
      let plan = try schedule.plan(stepCount: item.steps, solver: .euler)
      expectClose(plan.rows.map(\.timestep), item.timesteps, tolerance: 2e-3)
    }
  }

  @Test(
    "Golden times of the published models",
    arguments: [
      (3, nil, FlowMatchingSchedule.Spacing.diffusers, [1, 0.857692, 0.602151, 0.008929, 0]),
      (3, nil, .uniform, [1, 0.9, 0.75, 0.5, 0]),
      (1, nil, .diffusers, [1, 0.667, 0.334, 0.001, 0]),
      (1, nil, .uniform, [1, 0.75, 0.5, 0.25, 0]),
      (3, 256, .uniform, [1, 0.831824, 0.622459, 0.354661, 0]),
      (3, 1024, .uniform, [1, 0.849235, 0.652489, 0.384945, 0]),
      (3, 4096, .uniform, [1, 0.904531, 0.759511, 0.512844, 0]),
    ] as [(Double, Int?, FlowMatchingSchedule.Spacing, [Float])])
  func published(
    shift: Double, length: Int?, spacing: FlowMatchingSchedule.Spacing, expected: [Float]
  ) throws {
    var schedule = FlowMatchingSchedule()
    schedule.shift = shift
    schedule.spacing = spacing
    schedule.dynamicShift = length.map { DynamicTimeShift().shift(imageSequenceLength: $0) }
    let sigmas = try schedule.grid(stepCount: 4).sigmas
    // The golden values are given to six places; 0.63 stands there for 0.62995.
    expectClose(sigmas.map(Float.init), expected, tolerance: 1.5e-5)
  }

  @Test("A stochastic step forgets the old noise and keeps the clean estimate")
  func stochastic() throws {
    var schedule = FlowMatchingSchedule()
    schedule.isStochastic = true
    schedule.spacing = .uniform
    let row = try schedule.plan(stepCount: 4, solver: .euler).rows[1]
    // From sigma .75 with sample x and velocity v: .5 * (x - .75 v) + .5 * noise.
    #expect(row.sample == 0.5 && row.output == -0.375 && row.noise == 0.5)
    #expect(throws: PlanError.self) { try schedule.plan(stepCount: 4, solver: .heun) }
  }

  @Test("A number of steps that makes no plan is refused with the range", arguments: [0, -1, 1001])
  func stepCount(count: Int) throws {
    let error = #expect(throws: PlanError.self) {
      try FlowMatchingSchedule().plan(stepCount: count, solver: .euler)
    }
    #expect(error?.message == "the flow-matching schedule takes 1 to 1000 steps, got \(count)")
  }
}

@Suite struct PiecewiseFlowScheduleTests {
  @Test(
    "Timesteps are PeRFlow's, the remainder in the noisiest windows",
    arguments: [
      (4, [1000, 750, 500, 250]), (5, [1000, 875, 750, 500, 250]),
      (6, [1000, 875, 750, 625, 500, 250]), (8, [1000, 875, 750, 625, 500, 375, 250, 125]),
    ])
  func timesteps(count: Int, expected: [Float]) throws {
    let plan = try PiecewiseFlowSchedule().plan(stepCount: count, solver: .euler)
    #expect(plan.rows.map(\.timestep) == expected)
  }

  @Test("Sixteen steps are truncated to whole timesteps")
  func sixteen() throws {
    let rows = try PiecewiseFlowSchedule().plan(stepCount: 16, solver: .euler).rows
    #expect(rows.prefix(6).map(\.timestep) == [1000, 937, 875, 812, 750, 687])
    #expect(rows.last?.timestep == 62)
  }

  @Test("The cumulative products are the published constants")
  func alphas() {
    let cumulative = BetaSchedule().alphas()
    let expected: [Int: Double] = [
      999: 0.00466010, 749: 0.05662345, 499: 0.27766943, 249: 0.67543209, 0: 0.99914998,
    ]
    // The published ones were multiplied up in single precision.
    for (index, value) in expected { #expect(abs(cumulative[index] - value) < 5e-7) }
  }

  @Test(
    "A step over a whole window is that window's map",
    arguments: [
      (Prediction.diffEps, [-3.339267, -1.975801, -1.196873, -0.692297]),
      (.ddimEps, [-2.506379, -1.300941, -0.755837, -0.663756]),
    ] as [(Prediction, [Double])])
  func windows(prediction: Prediction, etas: [Double]) throws {
    var schedule = PiecewiseFlowSchedule()
    schedule.prediction = prediction
    let rows = try schedule.plan(stepCount: 4, solver: .euler).rows
    let lambdas = [3.485786, 2.214450, 1.559649, 1.216255]
    for (index, row) in rows.enumerated() {
      #expect(abs(row.sample - lambdas[index]) < 2e-6)
      #expect(abs(row.output - etas[index]) < 2e-6)
    }
  }

  @Test(
    "The closed form equals the reference's division where that is exact",
    arguments: [5, 8, 16, 31])
  func reference(count: Int) throws {
    let schedule = PiecewiseFlowSchedule()
    let plan = try schedule.plan(stepCount: count, solver: .euler)
    let alphas = schedule.betas.alphas()
    let visits = schedule.visits(stepCount: count)
    for (index, visit) in visits.enumerated() {
      let (lambda, eta) = schedule.windowMap(of: visit.window, alphas: alphas)
      let (start, end) = (visit.window.start, visit.window.end)
      let time = Double(visit.timestep) / 1000
      let next = Double(index + 1 < count ? visits[index + 1].timestep : 0) / 1000
      let divisor = lambda * (time - start) + (end - time)
      let lambdaHere = lambda * (end - start) / divisor
      let etaHere = eta * (end - time) / divisor
      let (sample, output) = (1.3, -0.7)
      let velocity = (lambdaHere * sample + etaHere * output - sample) / (end - time)
      let expected = sample + (next - time) * velocity
      let row = plan.rows[index]
      #expect(abs(row.sample * sample + row.output * output - expected) < 1e-9)
    }
  }

  @Test("A velocity moves the sample by the time between timesteps")
  func velocity() throws {
    var schedule = PiecewiseFlowSchedule()
    schedule.prediction = .velocity
    let rows = try schedule.plan(stepCount: 5, solver: .euler).rows
    #expect(rows.allSatisfy { $0.sample == 1 })
    expectClose(
      rows.map { Float($0.output) }, [-0.125, -0.125, -0.25, -0.25, -0.25], tolerance: 1e-7)
  }

  @Test("Fewer steps than windows and solvers that do not fit are refused, not bent")
  func refused() {
    let few = #expect(throws: PlanError.self) {
      try PiecewiseFlowSchedule().plan(stepCount: 3, solver: .euler)
    }
    #expect(few?.message == "the piecewise schedule of 4 windows takes 4 to 1000 steps, got 3")
    #expect(throws: PlanError.self) {
      try PiecewiseFlowSchedule().plan(stepCount: 4, solver: .heun)
    }
  }
}

@Suite struct RectifiedFlowScheduleTests {
  @Test("Steps are even, and the output points to the data")
  func even() throws {
    let rows = try RectifiedFlowSchedule().plan(stepCount: 4, solver: .euler).rows
    #expect(rows.map(\.timestep) == [1000, 750, 500, 250])
    #expect(rows.allSatisfy { $0.sample == 1 && $0.output == 0.25 })
  }

  @Test("InstaFlow's one step adds the output whole")
  func one() throws {
    let rows = try RectifiedFlowSchedule().plan(stepCount: 1, solver: .euler).rows
    #expect(rows.map(\.timestep) == [1000])
    #expect(rows.map(\.sample) == [1] && rows.map(\.output) == [1])
  }
}
