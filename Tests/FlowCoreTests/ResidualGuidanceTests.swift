import FlowTestSupport
import Testing

@testable import FlowCore

/// Residual guidance: the unconditional prediction without evaluating it.
@Suite struct ResidualGuidanceTests {
  private static let shape: Shape = [2, 3, 4]

  private static func plans() throws -> [(name: String, plan: StepPlan)] {
    var ddim = PiecewiseFlowSchedule()
    ddim.prediction = .ddimEps
    var velocity = PiecewiseFlowSchedule()
    velocity.prediction = .velocity
    let schedules: [(String, any Schedule, Int, Solver)] = [
      ("flow", FlowMatchingSchedule(), 5, .euler), ("heun", FlowMatchingSchedule(), 4, .heun),
      ("ab2", FlowMatchingSchedule(), 5, .adamsBashforth2),
      ("rectified", RectifiedFlowSchedule(), 3, .euler),
      ("diff_eps", PiecewiseFlowSchedule(), 9, .euler), ("ddim_eps", ddim, 4, .euler),
      ("window velocity", velocity, 6, .euler), ("lcm", ConsistencySchedule(), 4, .euler),
      ("euler", DiffusionSchedule(), 4, .euler),
    ]
    return try schedules.map { name, schedule, count, solver in
      (name, try schedule.plan(stepCount: count, solver: solver))
    }
  }

  private static func end(
    _ plan: StepPlan, _ guidance: Guidance, reference: Latents? = nil, field: KnownField
  ) throws -> Latents {
    var field = field
    var batch = StreamBatch<Float>(rowCapacity: 2)
    batch.admit(
      Trajectory(
        id: 0, plan: plan, guidance: guidance, prompted: 1, unprompted: 0, reference: reference,
        noise: GaussianNoise(seed: 3), shape: shape))
    while true {
      try batch.advance(along: &field)
      if let finished = batch.retire().first { return finished.sample }
    }
  }

  @Test("Where the prompt changes nothing, the first step of onetimeNegative is that of full")
  func firstStep() throws {
    let field = KnownField { x, t, c in x * 0.37 + t * 0.0011 - c * 0.5 }
    for (name, plan) in try Self.plans() {
      let first = StepPlan(rows: [plan.rows[0]], stepCount: 1)
      let full = try Self.end(first, .full(scale: 3), field: field)
      let onetime = try Self.end(first, .onetimeNegative(scale: 3), field: field)
      let largest = full.scalars.map(abs).max() ?? 1
      expectClose(onetime.scalars, full.scalars, tolerance: 2e-5 * max(largest, 1))
      #expect(largest > 0.1, "\(name)")
    }
  }

  @Test("An unconditional field that leads straight to one image is known after one evaluation")
  func straight() throws {
    // v = (x - data) / sigma is the flow to one image; conditional, to another.
    let field = KnownField { x, t, c in (x - (c == 0 ? 0.25 : -0.5)) / (t / 1000) }
    let plan = try FlowMatchingSchedule().plan(stepCount: 6, solver: .euler)
    for scale in [Float(1), 2, 5] {
      let full = try Self.end(plan, .full(scale: scale), field: field)
      let onetime = try Self.end(plan, .onetimeNegative(scale: scale), field: field)
      expectClose(onetime.scalars, full.scalars, tolerance: 2e-4)
      // To the image itself, the residual side takes the reference as it is.
      let reference = Latents(
        shape: Self.shape, scalars: [Float](repeating: 0.25, count: Self.shape.elementCount))
      let own = try Self.end(plan, .selfNegative(scale: scale), reference: reference, field: field)
      expectClose(own.scalars, full.scalars, tolerance: 2e-4)
    }
  }

  @Test("PeRFlow's residual leads to the window's end of the reference, in every prediction")
  func windows() throws {
    let noise = GaussianNoise(seed: 3)
    var drawn = noise
    let first = drawn.latents(shape: Self.shape)
    let reference = Latents(
      shape: Self.shape, scalars: (0..<Self.shape.elementCount).map { Float($0) / 10 - 1 })
    for prediction in Prediction.allCases {
      var schedule = PiecewiseFlowSchedule()
      schedule.prediction = prediction
      let plan = try schedule.plan(stepCount: 4, solver: .euler)
      // At scale 0 only the residual prediction counts: the end is the reference's last marginal.
      let field = KnownField { x, _, _ in x * 1.7 - 0.2 }
      let end = try Self.end(
        plan, .selfNegative(scale: 0), reference: reference, field: field)
      let alpha = schedule.betas.alphas()[0]
      let (signal, spread) = (Float(alpha.squareRoot()), Float((1 - alpha).squareRoot()))
      let expected = zip(reference.scalars, first.scalars).map { $0 * signal + $1 * spread }
      expectClose(end.scalars, expected, tolerance: 2e-5)
    }
  }

  @Test("Delta scales the residual velocity of a flow")
  func delta() throws {
    let field = KnownField { _, _, _ in 2 }
    let plan = try FlowMatchingSchedule().plan(stepCount: 1, solver: .euler)
    let reference = Latents(zeros: Self.shape)
    var noise = GaussianNoise(seed: 3)
    let start = noise.latents(shape: Self.shape).scalars
    for (scale, delta) in [(Float(3), Float(1)), (3, 0.5), (2, 0)] {
      let end = try Self.end(
        plan, .selfNegative(scale: scale, delta: delta), reference: reference, field: field)
      // v = delta * x + scale * (2 - delta * x), with sigma 1 and the reference 0.
      let expected = start.map { x in
        let residual = delta * x
        return x - (residual + scale * (2 - residual))
      }
      expectClose(end.scalars, expected, tolerance: 1e-5)
    }
  }

  @Test("Rows per tick are N, 2N, N and N + 1, mixed in one batch")
  func rows() throws {
    let plan = try FlowMatchingSchedule().plan(stepCount: 4, solver: .euler)
    let reference = Latents(zeros: Self.shape)
    let kinds: [(Guidance, [Int])] = [
      (.none, [1, 1, 1, 1]), (.full(scale: 2), [2, 2, 2, 2]),
      (.selfNegative(scale: 2), [1, 1, 1, 1]), (.onetimeNegative(scale: 2), [2, 1, 1, 1]),
      (.distilled(scale: 2), [1, 1, 1, 1]),
    ]
    var together = KnownField { x, t, c in x * 0.3 + c - t * 0.001 }
    let field = together
    var batch = StreamBatch<Float>(rowCapacity: 8)
    for (index, kind) in kinds.enumerated() {
      func trajectory() -> Trajectory<Float> {
        Trajectory(
          id: index, plan: plan, guidance: kind.0, prompted: 1, unprompted: 0,
          reference: reference, noise: GaussianNoise(seed: 3), shape: Self.shape)
      }
      var alone = StreamBatch<Float>(rowCapacity: 2)
      var own = field
      alone.admit(trajectory())
      for _ in 0..<4 { try alone.advance(along: &own) }
      #expect(own.ticks == kind.1)
      batch.admit(trajectory())
    }
    for _ in 0..<4 { try batch.advance(along: &together) }
    #expect(together.ticks == [7, 6, 6, 6])
    let ends = batch.retire()
    for (index, kind) in kinds.enumerated() {
      let alone = try Self.end(plan, kind.0, reference: reference, field: field)
      #expect(ends[index].sample == alone)
    }
  }
}
