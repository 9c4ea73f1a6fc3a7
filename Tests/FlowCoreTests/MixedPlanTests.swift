import FlowCore
import FlowTestSupport
import Testing

/// Every solver and every editing method in one stream batch.
@Suite struct MixedPlanTests {
  private static let shape: Shape = [2, 3, 5]

  /// A field in which every row's output depends on everything the row was given.
  private static func field(rowCapacity: Int = 64) -> KnownField {
    KnownField(rowCapacity: rowCapacity) { x, t, c in
      x * 0.37 + t * 0.0011 - c * 0.13 + c * x / (1 + abs(x))
    }
  }

  private static let plans: [StepPlan] = {
    let schedule = FlowMatchingSchedule()
    var edit = FlowEdit()
    (edit.editedSteps, edit.finalSteps, edit.drawCount) = (4, 2, 2)
    (edit.sourceScale, edit.targetScale) = (1.5, 3)
    do {
      return try Solver.allCases.map { try schedule.plan(stepCount: 8, solver: $0) } + [
        try RectifiedFlowSchedule().plan(
          stepCount: 3, solver: .velocityAveraging(gain: 1.5), strength: 0.6),
        try schedule.inversion(stepCount: 4, solver: .fireFlow),
        try edit.plan(stepCount: 5, schedule: schedule),
        try FlowAlign().plan(stepCount: 3, schedule: schedule),
        try RFInversion().inversion(stepCount: 3, schedule: schedule),
        try RFInversion().plan(stepCount: 5, schedule: schedule),
        try SoftInterpolation().plan(stepCount: 6, schedule: schedule),
      ]
    } catch { preconditionFailure("\(error)") }
  }()

  private static let count = 3 * plans.count

  private static func trajectory(_ index: Int) -> Trajectory<Float> {
    let guidance: [Guidance] = [
      .none, .full(scale: 2.5), .selfNegative(scale: 1.5, delta: 0.7), .distilled(scale: 3),
    ]
    var noise = GaussianNoise(seed: 1000)
    return Trajectory(
      id: index, plan: plans[index % plans.count], guidance: guidance[index % guidance.count],
      prompted: Float(index) / 9, unprompted: -0.5, sourcePrompted: 0.7,
      reference: noise.latents(shape: shape), noise: GaussianNoise(seed: UInt64(index)),
      shape: shape)
  }

  private static let alone: [Latents] = (0..<count).map { index in
    do { return try trajectory(index).finished(along: field()).sample } catch {
      preconditionFailure("\(error)")
    }
  }

  @Test("A batch of all together gives bit for bit what each gives alone", arguments: [4, 9, 64])
  func exact(rowCapacity: Int) throws {
    var field = Self.field(rowCapacity: rowCapacity)
    var batch = StreamBatch<Float>(rowCapacity: rowCapacity)
    var pending = (0..<Self.count).map(Self.trajectory)[...]
    var finished: [Int: Latents] = [:]
    while !pending.isEmpty || !batch.isEmpty {
      while let next = pending.first, batch.hasRoom(for: next) {
        #expect(batch.hasRoom(for: next.guidance, plan: next.plan))
        batch.admit(pending.removeFirst())
      }
      #expect(batch.rowCount <= batch.reservedRowCount)
      #expect(batch.reservedRowCount <= rowCapacity)
      try batch.advance(along: &field)
      for trajectory in batch.retire() { finished[trajectory.id] = trajectory.sample }
    }
    #expect(batch.rowCount == 0 && batch.reservedRowCount == 0)
    for index in 0..<Self.count { #expect(finished[index] == Self.alone[index]) }
    for latents in finished.values { #expect(latents.isFinite) }
  }

  @Test("A tick that fails is tried again with the noise that was drawn for it")
  func failure() throws {
    for failing in 0..<5 {
      var field = Self.field()
      field.failingTick = failing
      var batch = StreamBatch<Float>(rowCapacity: 64)
      let indices = Solver.allCases.count..<Self.plans.count
      for index in indices { batch.admit(Self.trajectory(index)) }
      var finished: [Int: Latents] = [:]
      while !batch.isEmpty {
        try? batch.advance(along: &field)
        for trajectory in batch.retire() { finished[trajectory.id] = trajectory.sample }
      }
      for index in indices { #expect(finished[index] == Self.alone[index]) }
    }
  }
}
