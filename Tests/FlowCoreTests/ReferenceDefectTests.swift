import FlowTestSupport
import Testing

@testable import FlowCore

/// What the reference implementation gets wrong in its schedules, and does not happen here.
///
/// `Tests/README.md` lists all such defects with the test of each.
@Suite struct ReferenceDefectTests {
  @Test("A boundary belongs to the window below it, and no window takes all", arguments: 1...10)
  func windows(count: Int) {
    var schedule = PiecewiseFlowSchedule()
    schedule.windowCount = count
    for steps in [count, count + 1, 3 * count + 2, 97] where steps >= count {
      let visits = schedule.visits(stepCount: steps)
      #expect(visits.count == steps)
      #expect(Set(visits.map(\.window.start)).count == count)
      for (timestep, window) in visits {
        let time = Double(timestep) / 1000
        // Timesteps are truncated to thousandths.
        #expect(window.end - 1e-3 < time && time <= window.start + 1e-9)
        #expect(time > window.end + 1e-4 || steps > 400)
      }
    }
  }

  @Test("However many steps, a plan of windows is finite, falls, and ends at clean data")
  func counts() throws {
    for prediction in Prediction.allCases {
      var schedule = PiecewiseFlowSchedule()
      schedule.prediction = prediction
      for steps in [4, 5, 6, 7, 9, 13, 50, 97, 250, 999, 1000] {
        let plan = try schedule.plan(stepCount: steps, solver: .euler)
        #expect(plan.rows.allSatisfy { $0.sample.isFinite && $0.output.isFinite })
        let timesteps = plan.rows.map(\.timestep)
        #expect(zip(timesteps, timesteps.dropFirst()).allSatisfy { $0 > $1 }, "\(steps)")
        guard prediction == .velocity else { continue }
        // All of the schedule from noise to data, whatever the number: nothing noisy is decoded.
        let way = plan.rows.reduce(0) { $0 + $1.output }
        #expect(abs(way + 1) < 1e-9, "\(steps)")
      }
    }
  }

  @Test("A window's own map is followed exactly, whatever the steps inside it")
  func inside() throws {
    // A straight flow inside each window: its end is known from its beginning.
    for prediction in [Prediction.diffEps, .ddimEps] {
      var schedule = PiecewiseFlowSchedule()
      schedule.prediction = prediction
      let alphas = schedule.betas.alphas()
      for steps in [4, 8, 12, 6, 7] {
        let plan = try schedule.plan(stepCount: steps, solver: .euler)
        let visits = schedule.visits(stepCount: steps)
        let (start, output) = (0.8, -0.35)
        var sample = start
        var expected = start
        var held = start
        for (index, row) in plan.rows.enumerated() {
          let (lambda, eta) = schedule.windowMap(of: visits[index].window, alphas: alphas)
          if index == 0 || visits[index].window != visits[index - 1].window {
            expected = lambda * expected + eta * output
            held = sample
          }
          // What the network of a straight flow says on the way: the sample and the output lie on
          // one line, so that the velocity is the window's.
          let time = Double(row.timestep) / 1000
          let window = visits[index].window
          let end = lambda * held + eta * output
          let velocity = (end - held) / (window.end - window.start)
          let denominator = lambda * (time - window.start) + (window.end - time)
          let straight = (velocity * denominator - (lambda - 1) * sample) / eta
          sample = row.sample * sample + row.output * straight
        }
        #expect(abs(sample - expected) < 2e-3 * abs(expected), "\(prediction) \(steps)")
      }
    }
  }

  @Test("A step that truncation puts onto its window's end is refused, not divided by zero")
  func truncation() throws {
    var schedule = PiecewiseFlowSchedule()
    schedule.windowCount = 6
    let error = #expect(throws: PlanError.self) {
      try schedule.plan(stepCount: 1000, solver: .euler)
    }
    #expect(error?.message.hasPrefix("1000 steps are too many for 6 windows") == true)
    for count in [6, 7, 20, 120] {
      let rows = try schedule.plan(stepCount: count, solver: .euler).rows
      #expect(rows.allSatisfy { $0.residual.reference.isFinite })
    }
  }

  @Test("Plans that many share cannot change one another")
  func shared() throws {
    let schedule = PiecewiseFlowSchedule()
    let four = try schedule.plan(stepCount: 4, solver: .euler)
    _ = try schedule.plan(stepCount: 8, solver: .euler)
    #expect(try schedule.plan(stepCount: 4, solver: .euler) == four)
  }

  @Test("The first image is as good as the tenth: no stage begins with what is not a sample")
  func fill() throws {
    // Every admitted trajectory starts at its own noise and goes through all its rows.
    let plan = try FlowMatchingSchedule().plan(stepCount: 3, solver: .euler)
    var field = KnownField { x, t, _ in (x - 0.5) / (t / 1000) }
    var batch = StreamBatch<Float>(rowCapacity: 3)
    var ends: [[Float]] = []
    for tick in 0..<6 {
      if tick < 4 {
        batch.admit(
          Trajectory(
            id: tick, plan: plan, prompted: 0, noise: GaussianNoise(seed: UInt64(tick)), shape: [8])
        )
      }
      try batch.advance(along: &field)
      ends += batch.retire().map(\.sample.scalars)
    }
    #expect(ends.count == 4)
    for end in ends { expectClose(end, [Float](repeating: 0.5, count: 8), tolerance: 1e-3) }
  }
}
