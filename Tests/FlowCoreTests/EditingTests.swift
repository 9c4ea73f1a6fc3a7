import FlowTestSupport
import Testing

@testable import FlowCore

/// Editing plans against their formulas, written out.
@Suite struct EditingTests {
  private static let shape: Shape = [2, 3]
  private static let source: [Float] = [0.1, -0.4, 0.9, 0, 1.2, -1]
  /// Conditionings of the target, of no prompt, and of the source.
  private static let (target, empty, original): (Float, Float, Float) = (0.8, 0.1, -0.5)

  private static func velocity(_ x: Float, _ sigma: Double, _ prompt: Float) -> Float {
    x * prompt + Float(sigma) * 0.6 + x * x * 0.1 * prompt
  }

  private static var field: KnownField {
    KnownField { x, t, c in velocity(x, Double(t) / 1000, c) }
  }

  private static func schedule() -> FlowMatchingSchedule {
    var schedule = FlowMatchingSchedule()
    (schedule.spacing, schedule.shift) = (.uniform, 3)
    return schedule
  }

  private static func trajectory(
    _ plan: StepPlan, guidance: Guidance = .none, initial: Latents? = nil
  ) -> Trajectory<Float> {
    Trajectory(
      id: 0, plan: plan, guidance: guidance, prompted: target, unprompted: empty,
      sourcePrompted: original, reference: Latents(shape: shape, scalars: source),
      initial: initial, noise: GaussianNoise(seed: 9), shape: shape)
  }

  /// The trajectory's draws after the first, one by one.
  private static func draws() -> (first: [Float], next: () -> [Float]) {
    var noise = GaussianNoise(seed: 9)
    let first = noise.latents(shape: shape).scalars
    return (first, { noise.latents(shape: shape).scalars })
  }

  @Test(
    "FlowEdit follows the difference of two guided velocities under one noise, step by step",
    arguments: [(2, 1), (0, 1), (2, 3), (5, 1)])
  func flowEdit(finalSteps: Int, drawCount: Int) throws {
    var edit = FlowEdit()
    (edit.editedSteps, edit.finalSteps, edit.drawCount) = (5, finalSteps, drawCount)
    (edit.sourceScale, edit.targetScale) = (1.5, 3)
    let plan = try edit.plan(stepCount: 7, schedule: Self.schedule())
    let sigmas = try Self.schedule().grid(stepCount: 7).sigmas
    func guided(_ x: Float, _ sigma: Double, _ prompt: Float, _ scale: Float) -> Float {
      let unconditional = Self.velocity(x, sigma, Self.empty)
      return unconditional + scale * (Self.velocity(x, sigma, prompt) - unconditional)
    }
    let (firstNoise, draw) = Self.draws()
    var image = Self.source
    for step in 2..<7 {
      let (sigma, length) = (Float(sigmas[step]), Float(sigmas[step + 1] - sigmas[step]))
      if step == 7 - finalSteps {
        let noise = finalSteps == 5 ? firstNoise : draw()
        for index in image.indices { image[index] += sigma * (noise[index] - Self.source[index]) }
      }
      if step >= 7 - finalSteps {
        for index in image.indices {
          image[index] += length * guided(image[index], sigmas[step], Self.target, 3)
        }
        continue
      }
      var sum = [Float](repeating: 0, count: 6)
      for _ in 0..<drawCount {
        let noise = draw()
        for index in image.indices {
          let noisy = (1 - sigma) * Self.source[index] + sigma * noise[index]
          let moved = image[index] + noisy - Self.source[index]
          sum[index] +=
            guided(moved, sigmas[step], Self.target, 3)
            - guided(noisy, sigmas[step], Self.original, 1.5)
        }
      }
      for index in image.indices { image[index] += length * sum[index] / Float(drawCount) }
    }
    let trajectory = Self.trajectory(plan)
    #expect(trajectory.peakRowCount == (finalSteps == 5 ? 2 : 4))
    let end = try trajectory.finished(along: Self.field).sample.scalars
    // A few dozen roundings of numbers up to 4.
    expectClose(end, image, tolerance: 2e-5)
  }

  @Test("Networks that read a scale themselves take two rows, others four")
  func scales() throws {
    let own = try FlowEdit().plan(stepCount: 28, schedule: Self.schedule())
    #expect(own.rows.count == 24 && own.stepCount == 24)
    #expect(own.peakRowCount(guidance: .none) == 2)
    let guided = try FlowEdit.stableDiffusion3.plan(stepCount: 50, schedule: Self.schedule())
    #expect(guided.rows.count == 33 && guided.peakRowCount(guidance: .none) == 4)
    let error = #expect(throws: PlanError.self) {
      try FlowEdit().plan(stepCount: 23, schedule: Self.schedule())
    }
    #expect(error?.code == .stepCountInvalid)
  }

  @Test("FlowAlign pulls towards the source along the difference of velocities")
  func flowAlign() throws {
    var align = FlowAlign()
    (align.pull, align.scale) = (0.05, 4)
    let plan = try align.plan(stepCount: 6, schedule: Self.schedule())
    let sigmas = try Self.schedule().grid(stepCount: 6).sigmas
    let (_, draw) = Self.draws()
    var image = Self.source
    for step in 0..<6 {
      let (sigma, length) = (Float(sigmas[step]), Float(sigmas[step + 1] - sigmas[step]))
      let noise = draw()
      for index in image.indices {
        // As the repository writes it: `dt * (vp - vq) + zeta * (q - s * vq - p + s * vp)`.
        let q = (1 - sigma) * Self.source[index] + sigma * noise[index]
        let p = image[index] + q - Self.source[index]
        let vq = Self.velocity(q, sigmas[step], Self.original)
        let base = Self.velocity(p, sigmas[step], Self.original)
        let vp = base + 4 * (Self.velocity(p, sigmas[step], Self.target) - base)
        image[index] += length * (vp - vq) + 0.05 * (q - sigma * vq - p + sigma * vp)
      }
    }
    let trajectory = Self.trajectory(plan)
    #expect(trajectory.rowCount == 3 && trajectory.peakRowCount == 3)
    expectClose(
      try trajectory.finished(along: Self.field).sample.scalars, image, tolerance: 2e-5)
  }

  @Test("RF-Inversion goes towards its noise, and back towards the source for a quarter")
  func rfInversion() throws {
    let sigmas = try Self.schedule().grid(stepCount: 8).sigmas
    let (noise, _) = Self.draws()
    var image = Self.source
    for step in (0..<8).reversed() {
      let (sigma, next) = (sigmas[step + 1], sigmas[step])
      for index in image.indices {
        let velocity = Self.velocity(image[index], sigma, Self.empty)
        let straight = (noise[index] - image[index]) / Float(1 - sigma)
        image[index] += Float(next - sigma) * (velocity + 0.5 * (straight - velocity))
      }
    }
    let method = RFInversion()
    let there = try Self.trajectory(method.inversion(stepCount: 8, schedule: Self.schedule()))
      .finished(along: Self.field).sample
    expectClose(there.scalars, image, tolerance: 2e-5)
    image = there.scalars
    for step in 0..<8 {
      let (sigma, next) = (sigmas[step], sigmas[step + 1])
      for index in image.indices {
        let empty = Self.velocity(image[index], sigma, Self.empty)
        let velocity = empty + 2 * (Self.velocity(image[index], sigma, Self.target) - empty)
        let straight = (image[index] - Self.source[index]) / Float(sigma)
        let pull: Float = step < 2 ? 0.9 : 0
        image[index] += Float(next - sigma) * (velocity + pull * (straight - velocity))
      }
    }
    let plan = try method.plan(stepCount: 8, schedule: Self.schedule())
    let back = try Self.trajectory(plan, guidance: .full(scale: 2), initial: there)
      .finished(along: Self.field).sample
    expectClose(back.scalars, image, tolerance: 2e-5)
  }

  @Test("Pulled all the way, RF-Inversion ends in its noise, and comes back to the source")
  func pulled() throws {
    var method = RFInversion()
    (method.noisePull, method.sourcePull, method.pulledPart) = (1, 1, 1)
    let there = try Self.trajectory(method.inversion(stepCount: 5, schedule: Self.schedule()))
      .finished(along: Self.field).sample
    expectClose(there.scalars, Self.draws().first, tolerance: 1e-6)
    let plan = try method.plan(stepCount: 5, schedule: Self.schedule())
    let back = try Self.trajectory(plan, initial: there).finished(along: Self.field).sample
    expectClose(back.scalars, Self.source, tolerance: 1e-6)
  }

  @Test("Soft interpolation starts from noise, and its pull falls to 0 where it ends")
  func softInterpolation() throws {
    let method = SoftInterpolation()
    #expect(abs(method.pull(at: 1) - 0.93) < 1e-12)
    // As the notebook prints it.
    #expect(abs(method.pull(at: 1 - 0.1309) - 0.6602) < 2e-3)
    #expect(abs(method.pull(at: 0.75)) < 1e-12 && method.pull(at: 0.5) == 0)
    let plan = try method.plan(stepCount: 9, schedule: Self.schedule())
    let sigmas = try Self.schedule().grid(stepCount: 9).sigmas
    var image = Self.draws().first
    for step in 0..<9 {
      let (sigma, next) = (sigmas[step], sigmas[step + 1])
      let pull = Float(method.pull(at: sigma))
      for index in image.indices {
        let velocity = Self.velocity(image[index], sigma, Self.target)
        let straight = (image[index] - Self.source[index]) / Float(sigma)
        image[index] += Float(next - sigma) * (pull * straight + (1 - pull) * velocity)
      }
    }
    let end = try Self.trajectory(plan).finished(along: Self.field).sample
    expectClose(end.scalars, image, tolerance: 2e-5)
  }

  @Test("Networks that predict data - noise edit the same")
  func negative() throws {
    var schedule = Self.schedule()
    schedule.shift = 1
    let negative = KnownField { x, t, c in -Self.velocity(x, Double(t) / 1000, c) }
    var edit = FlowEdit()
    (edit.editedSteps, edit.finalSteps, edit.drawCount) = (4, 1, 2)
    func plans(_ schedule: some FlowSchedule) throws -> [StepPlan] {
      [
        try edit.plan(stepCount: 5, schedule: schedule),
        try FlowAlign().plan(stepCount: 5, schedule: schedule),
        try RFInversion().inversion(stepCount: 5, schedule: schedule),
        try RFInversion().plan(stepCount: 5, schedule: schedule),
      ]
    }
    for (one, other) in zip(try plans(schedule), try plans(RectifiedFlowSchedule())) {
      let end = try Self.trajectory(one).finished(along: Self.field).sample.scalars
      let same = try Self.trajectory(other).finished(along: negative).sample.scalars
      expectClose(end, same, tolerance: 1e-4)
    }
  }
}

@Suite struct EditingMethodSpellingTests {
  @Test("Methods are read as they are written")
  func spelling() {
    for method in EditingMethod.allMethods {
      #expect(EditingMethod(rawValue: method.rawValue) == method)
    }
    var edit = FlowEdit()
    (edit.finalSteps, edit.targetScale) = (2, 5.5)
    #expect(EditingMethod(rawValue: "flowedit:final=2,target-scale=5.5") == .flowEdit(edit))
    #expect(EditingMethod.flowEdit(edit).rawValue == "flowedit:final=2,target-scale=5.5")
    for text in [
      "", "flow", "flowedit:", "flowedit:final=-1", "flowedit:draws=0", "rf-inversion:eta=2",
      "soft:end=0", "fireflow:part=1", "flowalign:pull=x",
    ] { #expect(EditingMethod(rawValue: text) == nil, "\(text)") }
  }

  @Test("An inversion and its way back are one plan, under the source and then the target prompt")
  func inversion() throws {
    let plan = try EditingMethod.inversion(.fireFlow).plan(
      stepCount: 4, strength: 0.75, schedule: RectifiedFlowSchedule(), readsScale: false)
    #expect(plan.rows.count == 10 && plan.stepCount == 8)
    #expect(plan.rows[0..<5].allSatisfy { $0.evaluations.map(\.role) == [.source] })
    #expect(plan.rows[5...].allSatisfy { $0.evaluations.isEmpty })
    #expect(plan.rows[0].timestep == 0 && plan.rows[5].timestep == 750)
    #expect(plan.rowCount(guidance: .full(scale: 2)) == 5 + 10)
  }
}
