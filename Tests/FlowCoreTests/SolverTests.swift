import FlowCore
import FlowTestSupport
import Foundation
import Testing

@Suite struct SolverTests {
  private func end(
    of formula: @escaping @Sendable (Float, Float, Float) -> Float, solver: Solver, stepCount: Int
  ) throws -> (start: Float, end: Float) {
    var schedule = FlowMatchingSchedule()
    schedule.spacing = .uniform
    var field = KnownField(formula: formula)
    var batch = StreamBatch<Float>(rowCapacity: 1)
    let trajectory = Trajectory<Float>(
      id: 0, plan: try schedule.plan(stepCount: stepCount, solver: solver), prompted: 0,
      noise: GaussianNoise(seed: 3), shape: [1])
    let start = trajectory.sample.scalars[0]
    batch.admit(trajectory)
    while true {
      try batch.advance(along: &field)
      if let finished = batch.retire().first { return (start, finished.sample.scalars[0]) }
    }
  }

  @Test(
    "A straight flow takes no error, however few the steps",
    arguments: Solver.allCases.filter { !$0.isStochastic }, [1, 2, 7, 50])
  func straight(solver: Solver, stepCount: Int) throws {
    let (start, end) = try end(of: { _, _, _ in 2 }, solver: solver, stepCount: stepCount)
    #expect(abs(end - (start - 2)) < 2e-5)  // 50 roundings of at most 2.4e-7
  }

  @Test(
    "An error falls with the solver's own order",
    arguments: [
      (Solver.euler, 1.0), (.heun, 2.0), (.adamsBashforth2, 2.0), (.midpoint, 2.0),
      (.fireFlow, 2.0),
    ])
  func order(solver: Solver, expected: Double) throws {
    // dx/dsigma = x from sigma 1 to 0 ends at x / e.
    func error(_ count: Int) throws -> Double {
      let (start, end) = try end(of: { x, _, _ in x }, solver: solver, stepCount: count)
      return abs(Double(end) - Double(start) * exp(-1))
    }
    let measured = log2(try error(8) / error(16))
    #expect(abs(measured - expected) < 0.25)
  }

  @Test("A velocity that grows with time is integrated to second order at once")
  func linear() throws {
    // dx/dsigma = 2 sigma: x falls by 1 from sigma 1 to 0.
    let formula: @Sendable (Float, Float, Float) -> Float = { _, t, _ in 2 * t / 1000 }
    let (start, euler) = try end(of: formula, solver: .euler, stepCount: 4)
    #expect(abs(euler - (start - 1.25)) < 1e-6)  // the known error of a left sum: 1/N
    let (_, heun) = try end(of: formula, solver: .heun, stepCount: 4)
    #expect(abs(heun - (start - 1.0625)) < 1e-6)  // only the last step, an Euler step, errs
  }

  @Test("Velocity averaging extrapolates from the average of the velocities before")
  func averaging() throws {
    let formula: @Sendable (Float, Float, Float) -> Float = { x, t, _ in 0.8 * x + t / 1000 }
    let (start, end) = try end(
      of: formula, solver: .velocityAveraging(gain: 1.5, decay: 0.8), stepCount: 5)
    var sample = Double(start)
    var average: Double?
    for step in 0..<5 {
      let velocity = 0.8 * sample + (1 - Double(step) / 5)
      let before = average ?? velocity
      sample -= (1.5 * velocity - 0.5 * before) / 5
      average = average.map { 0.8 * $0 + 0.2 * velocity } ?? velocity
    }
    #expect(abs(Double(end) - sample) < 1e-6)
    let schedule = FlowMatchingSchedule()
    let still = try schedule.plan(stepCount: 4, solver: .velocityAveraging()).rows.map(\.output)
    #expect(still == (try schedule.plan(stepCount: 4, solver: .euler).rows.map(\.output)))
  }

  @Test("Heun takes two rows a step, the last one aside; Adams-Bashforth one")
  func rows() throws {
    let schedule = FlowMatchingSchedule()
    #expect(try schedule.plan(stepCount: 4, solver: .heun).rows.count == 7)
    #expect(try schedule.plan(stepCount: 4, solver: .adamsBashforth2).rows.count == 4)
    #expect(try schedule.plan(stepCount: 4, solver: .heun).stepCount == 4)
  }
}
