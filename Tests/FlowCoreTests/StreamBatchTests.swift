import FlowCore
import FlowTestSupport
import Testing

@Suite struct StreamBatchTests {
  /// A field in which every row's output depends on everything the row was given.
  private static func field(rowCapacity: Int = 64) -> KnownField {
    KnownField(rowCapacity: rowCapacity) { x, t, c in
      x * 0.37 + t * 0.0011 - c * 0.13 + c * x / (1 + abs(x))
    }
  }

  private static func trajectory(_ index: Int) throws -> Trajectory<Float> {
    var matching = FlowMatchingSchedule()
    matching.shift = 1 + Double(index % 3)
    var stochastic = matching
    stochastic.isStochastic = true
    let plans: [StepPlan] = [
      try matching.plan(stepCount: 1 + index % 7, solver: .euler),
      try matching.plan(stepCount: 2 + index % 3, solver: .heun),
      try matching.plan(stepCount: 3 + index % 4, solver: .adamsBashforth2),
      try PiecewiseFlowSchedule().plan(stepCount: 4 + index % 5, solver: .euler),
      try RectifiedFlowSchedule().plan(stepCount: 1 + index % 2, solver: .euler),
      try stochastic.plan(stepCount: 4, solver: .euler),
      try ConsistencySchedule().plan(stepCount: 1 + index % 4, solver: .euler),
      try DiffusionSchedule().plan(stepCount: 1 + index % 3, solver: .euler),
    ]
    let scale = 1 + Float(index) / 4
    let kinds: [Guidance] = [
      .none, .full(scale: scale), .selfNegative(scale: scale, delta: 0.7),
      .onetimeNegative(scale: scale), .distilled(scale: scale),
    ]
    let guidance = kinds[index % kinds.count]
    return Trajectory(
      id: index, plan: plans[index % plans.count], guidance: guidance, prompted: Float(index) / 3,
      unprompted: -0.5, reference: Latents(zeros: [2, 3, 5]),
      noise: GaussianNoise(seed: UInt64(index)), shape: [2, 3, 5])
  }

  private static func alone(_ index: Int) throws -> Latents {
    var field = field()
    var batch = StreamBatch<Float>(rowCapacity: 2)
    batch.admit(try trajectory(index))
    while true {
      try batch.advance(along: &field)
      if let finished = batch.retire().first { return finished.sample }
    }
  }

  @Test(
    "Whatever the mix, a stream gives bit for bit what each run alone gives",
    arguments: [2, 3, 5, 16, 64])
  func exact(rowCapacity: Int) throws {
    var field = Self.field(rowCapacity: rowCapacity)
    var batch = StreamBatch<Float>(rowCapacity: rowCapacity)
    var pending = try (0..<40).map(Self.trajectory)[...]
    var finished: [Int: Latents] = [:]
    while !pending.isEmpty || !batch.isEmpty {
      while let next = pending.first, batch.hasRoom(for: next.guidance) {
        batch.admit(pending.removeFirst())
      }
      try batch.advance(along: &field)
      for trajectory in batch.retire() { finished[trajectory.id] = trajectory.sample }
    }
    #expect(finished.count == 40)
    for index in 0..<40 { #expect(finished[index] == (try Self.alone(index))) }
    #expect(field.ticks.allSatisfy { $0 <= rowCapacity })
  }

  @Test("Trajectories that ticks leave out end where they would have ended", arguments: [1, 2, 3])
  func leavingOut(every: Int) throws {
    var field = Self.field(rowCapacity: 7)
    var batch = StreamBatch<Float>(rowCapacity: 64)
    for index in 0..<12 { batch.admit(try Self.trajectory(index)) }
    var finished: [Int: Latents] = [:]
    var tick = 0
    while !batch.isEmpty {
      // As many as the field has room for, beginning at another one each time.
      var (rows, chosen) = (0, Set<Int>())
      let flying = Array(batch.inFlight)
      for place in flying.indices {
        let trajectory = flying[(place + tick * every) % flying.count]
        guard rows + trajectory.rowCount <= 7 else { continue }
        rows += trajectory.rowCount
        chosen.insert(trajectory.id)
      }
      try batch.advance(along: &field) { !chosen.contains($0) }
      for trajectory in batch.retire() { finished[trajectory.id] = trajectory.sample }
      tick += 1
    }
    #expect(finished.count == 12)
    for index in 0..<12 { #expect(finished[index] == (try Self.alone(index))) }
    #expect(field.ticks.allSatisfy { $0 <= 7 })
  }

  @Test("The expected image is where the velocity leads, and at the last step where it arrives")
  func estimate() throws {
    // A field that knows the data: from anywhere, it leads there.
    let data: Float = 0.25
    let plans: [StepPlan] = [
      try FlowMatchingSchedule().plan(stepCount: 4, solver: .euler),
      try RectifiedFlowSchedule().plan(stepCount: 3, solver: .euler),
    ]
    for plan in plans {
      var batch = StreamBatch<Float>(rowCapacity: 1)
      var field = KnownField(rowCapacity: 1) { x, t, _ in (x - data) / (t / 1000) }
      if plan.rows[0].residual.reference > 0 {
        field = KnownField(rowCapacity: 1) { x, t, _ in (data - x) / (t / 1000) }
      }
      batch.admit(
        Trajectory(
          id: 0, plan: plan, prompted: 0, noise: GaussianNoise(seed: 3), shape: [6],
          keepsEstimate: true))
      for _ in plan.rows.dropLast() {
        try batch.advance(along: &field)
        let estimate = try #require(batch.inFlight.first?.estimate)
        for scalar in estimate.scalars { #expect(abs(scalar - data) < 1e-4) }
      }
      try batch.advance(along: &field)
      let arrived = try #require(batch.retire().first)
      let estimate = try #require(arrived.estimate)
      for (expected, scalar) in zip(estimate.scalars, arrived.sample.scalars) {
        #expect(abs(expected - scalar) < 1e-4)
      }
    }
  }

  @Test("One admitted a tick makes the paper's pipeline: N stages, an image a tick, none lost")
  func pipeline() throws {
    let (count, stages) = (10, 4)
    let plan = try FlowMatchingSchedule().plan(stepCount: stages, solver: .euler)
    var field = Self.field()
    var batch = StreamBatch<Float>(rowCapacity: stages)
    var order: [Int] = []
    var perTick: [Int] = []
    for tick in 0..<count + stages - 1 {
      if tick < count {
        batch.admit(
          Trajectory(
            id: tick, plan: plan, prompted: 1, noise: GaussianNoise(seed: UInt64(tick)), shape: [4])
        )
      }
      try batch.advance(along: &field)
      let retired = batch.retire()
      order += retired.map(\.id)
      perTick.append(retired.count)
    }
    #expect(batch.isEmpty)
    #expect(order == Array(0..<count))
    #expect(perTick == [0, 0, 0] + [Int](repeating: 1, count: count))
    #expect(field.ticks == [1, 2, 3, 4, 4, 4, 4, 4, 4, 4, 3, 2, 1])
  }

  @Test(
    "Full guidance extrapolates from the unconditional prediction; scale 1 is the conditional one")
  func guidance() throws {
    let plan = StepPlan(
      rows: [.init(timestep: 1000, output: -1, residual: .init(reference: 1))], stepCount: 1)
    for (scale, expected) in [(Float(1), Float(3)), (2, 5), (0, 1), (7.5, 16)] {
      var field = KnownField { _, _, conditioning in conditioning }
      var batch = StreamBatch<Float>(rowCapacity: 2)
      let trajectory = Trajectory<Float>(
        id: 0, plan: plan, guidance: .full(scale: scale), prompted: 3, unprompted: 1,
        noise: GaussianNoise(seed: 0), shape: [1])
      let start = trajectory.sample.scalars[0]
      batch.admit(trajectory)
      try batch.advance(along: &field)
      let end = batch.retire()[0].sample.scalars[0]
      #expect(abs(end - (start - expected)) < 1e-5)
      #expect(field.ticks == [2])
    }
  }

  @Test("A tick that fails moves nothing, and can be tried again")
  func failure() throws {
    var field = Self.field()
    field.failingTick = 1
    var batch = StreamBatch<Float>(rowCapacity: 8)
    for index in 0..<4 { batch.admit(try Self.trajectory(index)) }
    var finished: [Int: Latents] = [:]
    while !batch.isEmpty {
      try? batch.advance(along: &field)
      for trajectory in batch.retire() { finished[trajectory.id] = trajectory.sample }
    }
    for index in 0..<4 { #expect(finished[index] == (try Self.alone(index))) }
  }

  @Test("What is taken out leaves room, and the others as they were")
  func removal() throws {
    var field = Self.field()
    var batch = StreamBatch<Float>(rowCapacity: 3)
    batch.admit(try Self.trajectory(1))
    batch.admit(try Self.trajectory(2))
    #expect(!batch.hasRoom(for: .none))
    try batch.advance(along: &field)
    _ = batch.retire()
    batch.remove(id: 1)
    #expect(batch.rowCount == 1 && batch.hasRoom(for: .full(scale: 2)))
    var finished = batch.retire()
    while !batch.isEmpty {
      try batch.advance(along: &field)
      finished += batch.retire()
    }
    #expect(finished.map(\.sample) == [try Self.alone(2)])
  }

  @Test("An empty batch ticks without running the field")
  func empty() throws {
    var field = Self.field()
    var batch = StreamBatch<Float>(rowCapacity: 1)
    try batch.advance(along: &field)
    #expect(field.ticks.isEmpty && batch.tickCount == 0)
  }
}
