import FlowTestSupport
import Testing

@testable import FlowCore

@Suite struct InversionTests {
  private static let image = Latents(shape: [2, 3], scalars: [0.1, -0.4, 0.9, 0, 1.2, -1])

  private static func uniform() -> FlowMatchingSchedule {
    var schedule = FlowMatchingSchedule()
    schedule.spacing = .uniform
    return schedule
  }

  /// How far an image is from itself after inversion and generation.
  private static func error(
    _ solver: Solver, stepCount: Int, schedule: some FlowSchedule, sign: Float = 1
  ) throws -> Float {
    let field = KnownField { x, t, c in sign * (x * c + t / 1000 + x * x * 0.2) }
    let there = Trajectory<Float>(
      id: 0, plan: try schedule.inversion(stepCount: stepCount, solver: solver), prompted: 0.8,
      reference: image, noise: GaussianNoise(seed: 1), shape: image.shape)
    let noise = try there.finished(along: field).sample
    let back = Trajectory<Float>(
      id: 1, plan: try schedule.plan(stepCount: stepCount, solver: solver), prompted: 0.8,
      initial: noise, noise: GaussianNoise(seed: 2), shape: image.shape)
    let end = try back.finished(along: field).sample
    return zip(end.scalars, image.scalars).map { abs($0 - $1) }.max() ?? .infinity
  }

  @Test("An inversion rises through the times of the way back, from the image")
  func times() throws {
    let plan = try Self.uniform().inversion(stepCount: 4)
    #expect(plan.rows.map(\.timestep) == [0, 250, 500, 750])
    #expect(plan.rows.map(\.output) == [0.25, 0.25, 0.25, 0.25])
    #expect(plan.start == StepPlan.Start(reference: 1, noise: 0))
    let weak = try Self.uniform().inversion(stepCount: 2, strength: 0.5, from: 0.125)
    #expect(weak.rows.map(\.timestep) == [125, 250])
    let middle = try RectifiedFlowSchedule().inversion(stepCount: 2, solver: .midpoint)
    #expect(middle.rows.map(\.timestep) == [0, 250, 500, 750])
  }

  @Test(
    "The error of there and back falls with the solver's order",
    arguments: [(Solver.euler, Float(1.7)), (.midpoint, 3.4), (.fireFlow, 3.4), (.heun, 3.4)])
  func order(solver: Solver, ratio: Float) throws {
    let coarse = try Self.error(solver, stepCount: 8, schedule: Self.uniform())
    let fine = try Self.error(solver, stepCount: 16, schedule: Self.uniform())
    #expect(coarse / fine > ratio)
    let euler = try Self.error(.euler, stepCount: 16, schedule: Self.uniform())
    if solver != .euler { #expect(fine < euler / 5) }
  }

  @Test("Networks that predict data - noise are inverted the same")
  func negative() throws {
    for solver in [Solver.euler, .midpoint, .fireFlow] {
      let error = try Self.error(solver, stepCount: 8, schedule: Self.uniform())
      let other = try Self.error(
        solver, stepCount: 8, schedule: RectifiedFlowSchedule(), sign: -1)
      #expect(abs(error - other) < 1e-5)
    }
  }

  @Test("The expected image of an inversion is where the velocity comes from")
  func estimate() throws {
    let field = KnownField { x, t, _ in (x - 0.25) / max(t / 1000, 1) }
    let trajectory = Trajectory<Float>(
      id: 0, plan: try Self.uniform().inversion(stepCount: 3), prompted: 0, reference: Self.image,
      noise: GaussianNoise(seed: 1), shape: Self.image.shape, keepsEstimate: true)
    let estimate = try #require(try trajectory.finished(along: field).estimate)
    #expect(estimate.isFinite)
  }

  @Test("A solver that draws noise, and a start beyond the second time, are refused")
  func refused() throws {
    let solver = #expect(throws: PlanError.self) {
      try Self.uniform().inversion(stepCount: 4, solver: .overshooting())
    }
    #expect(
      solver?.message == "an inversion takes a solver that draws no noise, got overshooting")
    let start = #expect(throws: PlanError.self) {
      try Self.uniform().inversion(stepCount: 4, from: 0.25)
    }
    #expect(start?.code == .timesInvalid)
  }
}
