import FlowCore
import FlowTestSupport
import Testing

/// Rows that bring their own evaluations.
@Suite struct PlanRowTests {
  @Test("Admission reserves the maximum number of rows that a plan takes later on")
  func room() throws {
    let evaluations: [StepPlan.Evaluation] = [
      .init(.conditional, weight: 2), .init(.unconditional, weight: -1), .init(.source),
    ]
    func row(_ evaluations: [StepPlan.Evaluation]) -> StepPlan.Row {
      .init(
        timestep: 500, output: -0.1, evaluations: evaluations, residual: .init(reference: 1))
    }
    let plan = StepPlan(rows: [row([]), row(evaluations), row([])], stepCount: 3)
    #expect((0..<3).map { plan.rowCount(atStage: $0, guidance: .none) } == [1, 3, 1])
    #expect((0..<3).map { plan.peakRowCount(guidance: .none, fromStage: $0) } == [3, 3, 1])
    #expect(plan.rowCount(atStage: 2, guidance: .full(scale: 2)) == 2)
    #expect(plan.peakRowCount(guidance: .onetimeNegative(scale: 2), fromStage: 2) == 1)
    var batch = StreamBatch<Float>(rowCapacity: 4)
    var field = KnownField(rowCapacity: 4) { x, t, c in x * 0.37 + t * 0.0011 - c }
    let trajectory = Trajectory<Float>(
      id: 0, plan: plan, prompted: 1, unprompted: 0, sourcePrompted: 0.5,
      noise: GaussianNoise(seed: 0), shape: [1])
    batch.admit(trajectory)
    #expect(batch.rowCount == 1 && batch.reservedRowCount == 3)
    #expect(!batch.hasRoom(for: trajectory) && batch.hasRoom(for: .none))
    #expect(!batch.hasRoom(for: .full(scale: 2)))
    try batch.advance(along: &field)
    #expect(batch.rowCount == 3 && batch.reservedRowCount == 3)
    try batch.advance(along: &field)
    #expect(batch.rowCount == 1 && batch.hasRoom(for: trajectory))
    try batch.advance(along: &field)
    #expect(field.ticks == [1, 3, 1])
    #expect(batch.retire().count == 1 && batch.reservedRowCount == 0)
  }

  @Test("A row combines its evaluations, each of its own input, and remembers by its own rule")
  func formula() throws {
    // f(x, c) = c * x, so that every coefficient shows.
    let field = KnownField { x, _, c in c * x }
    let rows: [StepPlan.Row] = [
      .init(
        timestep: 1, sample: 0.5, output: 2, source: 3, firstNoise: 4, memoryGain: 0.5,
        evaluations: [
          .init(.conditional, weight: 0.3, sample: 2, source: 5),
          .init(.source, weight: -1, sample: 0, source: 1, noise: 7), .init(.unconditional),
        ], residual: .init(reference: 1)),
      .init(
        timestep: 1, output: 1, memory: 10, memoryDecay: 0.25, memoryGain: 2,
        residual: .init(reference: 1)),
      .init(timestep: 1, sample: 1, output: 0, memory: 1, noise: 6, residual: .init(reference: 1)),
    ]
    let trajectory = Trajectory<Float>(
      id: 0, plan: StepPlan(rows: rows, stepCount: 3), prompted: 2, unprompted: 3,
      sourcePrompted: 5, reference: Latents(shape: [1], scalars: [0.7]),
      initial: Latents(shape: [1], scalars: [0.9]), noise: GaussianNoise(seed: 4), shape: [1])
    var noise = GaussianNoise(seed: 4)
    let draws = (0..<3).map { _ in Double(noise.latents(shape: [1]).scalars[0]) }
    var x = 0.9
    let combined = 0.3 * 2 * (2 * x + 5 * 0.7) - 5 * (0.7 + 7 * draws[1]) + 3 * x
    x = 0.5 * x + 2 * combined + 3 * 0.7 + 4 * draws[0]
    var memory = 0.5 * combined
    let output = 2 * x
    x += output + 10 * memory
    memory = 0.25 * memory + 2 * output
    x += memory + 6 * draws[2]
    let end = try trajectory.finished(along: field).sample.scalars[0]
    #expect(abs(Double(end) - x) < 1e-5 * abs(x))
  }
}
