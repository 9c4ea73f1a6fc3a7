import FlowTestSupport
import Foundation
import Testing

@testable import FlowCore

/// Plans that start part-way, against diffusers' schedulers (`Scripts/fixtures/image_to_image.py`).
@Suite struct StrengthTests {
  private struct Golden: Decodable {
    let data: [Float]
    let noise: [Float]
    let cases: [Case]
  }

  private struct Case: Decodable {
    struct Configuration: Decodable {
      let shift: Double?
      let use_karras_sigmas: Bool?
      let shift_terminal: Double?
      let timestep_spacing: String?
    }
    let scheduler: String
    let config: Configuration
    let steps: Int
    let strength: Double
    let timesteps: [Float]
    let first: [Float]

    func schedule() throws -> any Schedule {
      switch scheduler {
      case "LCMScheduler": return ConsistencySchedule()
      case "FlowMatchEulerDiscreteScheduler":
        var schedule = FlowMatchingSchedule()
        schedule.shift = config.shift ?? 1
        schedule.terminalSigma = config.shift_terminal
        if config.use_karras_sigmas == true { schedule.respacing = .karras }
        return schedule
      default:
        var schedule = DiffusionSchedule()
        schedule.spacing = try #require(.init(rawValue: config.timestep_spacing ?? ""))
        schedule.isAncestral = scheduler == "EulerAncestralDiscreteScheduler"
        return schedule
      }
    }
  }

  @Test("Strength n/N runs the last n of N steps, from the image with its share of noise")
  func diffusers() throws {
    let data = try Data(contentsOf: URL(filePath: Bundle.module.fixture("strength.json")))
    let golden = try JSONDecoder().decode(Golden.self, from: data)
    #expect(golden.cases.count == 55)
    for item in golden.cases {
      let plan = try item.schedule()
        .plan(stepCount: item.steps, solver: .euler, strength: item.strength)
      expectClose(plan.rows.map(\.timestep), item.timesteps, tolerance: 2e-3)
      let first = zip(golden.data, golden.noise).map { data, noise in
        Float(plan.start.reference * Double(data) + plan.start.noise * Double(noise))
      }
      // Single precision against double.
      expectClose(first, item.first, tolerance: 2e-5)
    }
  }

  private static let schedules: [any Schedule] = {
    var uniform = FlowMatchingSchedule()
    uniform.spacing = .uniform
    var ddim = PiecewiseFlowSchedule()
    ddim.prediction = .ddimEps
    return [
      FlowMatchingSchedule(), uniform, RectifiedFlowSchedule(), PiecewiseFlowSchedule(), ddim,
      ConsistencySchedule(), DiffusionSchedule(),
    ]
  }()

  @Test("The steps that are asked for are the steps that run, at any strength, with falling times")
  func counts() throws {
    for schedule in Self.schedules {
      for strength in [0.17, 0.3, 0.5, 0.77, 0.999, 1] {
        for count in 4...7 {
          let plan = try schedule.plan(stepCount: count, solver: .euler, strength: strength)
          let times = plan.rows.map(\.timestep)
          #expect(plan.rows.count == count && plan.stepCount == count)
          #expect(zip(times, times.dropFirst()).allSatisfy { $0 > $1 }, "\(times)")
          #expect(times.allSatisfy { Double($0) <= 1000 * strength + 1 }, "\(times)")
        }
      }
    }
  }

  @Test("Strength 1 runs all steps, and lower strengths start with less noise")
  func whole() throws {
    for schedule in Self.schedules {
      let whole = try schedule.plan(stepCount: 5, solver: .euler)
      #expect(whole == (try schedule.plan(stepCount: 5, solver: .euler, strength: 1)))
      let noises = try [0.2, 0.45, 0.7, 1].map {
        try schedule.plan(stepCount: 4, solver: .euler, strength: $0).start.noise
      }
      // By diffusers' spacing, four steps at low strength end at the same last time and begin apart.
      #expect(zip(noises, noises.dropFirst()).allSatisfy { $0 < $1 }, "\(noises)")
    }
  }

  @Test("A field whose lines end in an image returns that image, from any strength")
  func identity() throws {
    let shape: Shape = [2, 3]
    let picture = Latents(shape: shape, scalars: [0.1, -0.4, 0.9, 0, 1.2, -1])
    for strength in [0.1, 0.5, 1] {
      for solver in Solver.allCases where !solver.isStochastic {
        let plan = try RectifiedFlowSchedule()
          .plan(stepCount: 3, solver: solver, strength: strength)
        var batch = StreamBatch<Float>(rowCapacity: 1)
        let trajectory = Trajectory<Float>(
          id: 0, plan: plan, prompted: 0, reference: picture, noise: GaussianNoise(seed: 5),
          shape: shape)
        // The velocity of a straight flow is the same everywhere: data - noise.
        var noise = GaussianNoise(seed: 5)
        let drawn = noise.latents(shape: shape)
        let velocity = zip(picture.scalars, drawn.scalars).map { $0 - $1 }
        batch.admit(trajectory)
        var field = ConstantField(output: velocity)
        while true {
          batch.advance(along: &field)
          guard let end = batch.retire().first else { continue }
          expectClose(end.sample.scalars, picture.scalars, tolerance: 1e-6)
          break
        }
      }
    }
  }

  @Test("PeRFlow goes from inside a window to its end, then window by window")
  func windows() throws {
    func timesteps(_ count: Int, _ strength: Double) throws -> [Float] {
      try PiecewiseFlowSchedule().plan(stepCount: count, solver: .euler, strength: strength).rows
        .map(\.timestep)
    }
    #expect(try timesteps(2, 0.5) == [500, 250])
    #expect(try timesteps(4, 0.5) == [500, 375, 250, 125])
    #expect(try timesteps(3, 0.6) == [600, 500, 250])
    #expect(try timesteps(1, 0.2) == [200])
    let error = #expect(throws: PlanError.self) { try timesteps(2, 0.6) }
    #expect(
      error?.message
        == "strength 0.6, which crosses 3 of 4 windows, takes 3 to 1000 steps, got 2")
  }

  @Test("An invalid strength, and a consistency model's too short schedule, are refused")
  func refused() throws {
    for schedule in Self.schedules {
      for strength in [0, -0.5, 1.01, Double.nan, .infinity] {
        let error = #expect(throws: PlanError.self) {
          try schedule.plan(stepCount: 4, solver: .euler, strength: strength)
        }
        #expect(error?.code == .strengthInvalid)
      }
    }
    let error = #expect(throws: PlanError.self) {
      try ConsistencySchedule().plan(stepCount: 4, solver: .euler, strength: 0.05)
    }
    #expect(
      error?.message == "the consistency schedule at strength 0.05 takes 1 to 2 steps, got 4")
  }
}

/// A field whose output is the same everywhere.
private struct ConstantField: VelocityField {
  let rowCapacity = 1
  let output: [Float]

  mutating func begin(rowCount: Int) {}
  mutating func load(row: Int, sample: Span<Float>, timestep: Float, conditioning: Float) {}
  mutating func run() {}
  func withOutput(row: Int, _ body: (Span<Float>) -> Void) { body(output.span) }
}
