import FlowTestSupport
import Foundation
import Testing

@testable import FlowCore

/// The few-step schedules against diffusers' schedulers, from start to end.
@Suite struct DiffusionScheduleTests {
  private struct Case: Decodable {
    struct Configuration: Decodable {
      let beta_schedule: String
      let prediction_type: String?
      let timestep_spacing: String?
      let steps_offset: Int?
      let original_inference_steps: Int?
      let timestep_scaling: Double?
      let rescale_betas_zero_snr: Bool?
    }
    let scheduler: String
    let config: Configuration
    let steps: Int
    let timesteps: [Float]

    func schedule() throws -> any Schedule {
      var betas = BetaSchedule()
      betas.kind = try #require(.init(rawValue: config.beta_schedule))
      betas.endsInNoise = config.rescale_betas_zero_snr ?? false
      let prediction = DiffusionPrediction(rawValue: config.prediction_type ?? "epsilon")
      if scheduler == "LCMScheduler" {
        var schedule = ConsistencySchedule()
        schedule.betas = betas
        schedule.prediction = try #require(prediction)
        schedule.originalStepCount = config.original_inference_steps ?? 50
        schedule.timestepScaling = config.timestep_scaling ?? 10
        return schedule
      }
      var schedule = DiffusionSchedule()
      schedule.betas = betas
      schedule.prediction = try #require(prediction)
      schedule.spacing = try #require(.init(rawValue: config.timestep_spacing ?? ""))
      schedule.stepsOffset = config.steps_offset ?? 0
      schedule.isAncestral = scheduler == "EulerAncestralDiscreteScheduler"
      return schedule
    }
  }

  @Test("One step of DEIS ends at the noise of the first timestep, as diffusers' does")
  func deis() throws {
    var schedule = DiffusionSchedule()
    schedule.endsAtFirstTimestep = true
    let plan = try schedule.plan(stepCount: 1, solver: .euler)
    #expect(plan.initialNoiseScale == 1)
    let row = try #require(plan.rows.first)
    // DEISMultistepScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear") of
    // diffusers 0.42.1 after set_timesteps(1): its step of a sample of 1, and of an output of 1.
    #expect(plan.rows.count == 1 && row.timestep == 999)
    #expect(abs(row.sample - 14.642590522766113) < 2e-5)
    #expect(abs(row.output + 14.579279899597168) < 2e-5)
    // Other plans are those of Euler's method.
    var euler = DiffusionSchedule()
    #expect(
      try schedule.plan(stepCount: 25, solver: .euler) == euler.plan(stepCount: 25, solver: .euler))
    (schedule.isAncestral, euler.isAncestral) = (true, true)
    #expect(
      try schedule.plan(stepCount: 1, solver: .euler) == euler.plan(stepCount: 1, solver: .euler))
  }

  @Test("LCM, Euler and Euler ancestral: times, what the network reads, where it ends")
  func diffusers() throws {
    let data = try Data(contentsOf: URL(filePath: Bundle.module.fixture("diffusion.json")))
    let cases = try JSONDecoder().decode([Case].self, from: data)
    let golden = try Golden("diffusion.safetensors", in: .module)
    #expect(cases.count == 79)
    for (index, item) in cases.enumerated() {
      let plan = try item.schedule().plan(stepCount: item.steps, solver: .euler)
      expectClose(plan.rows.map(\.timestep), item.timesteps, tolerance: 1e-3)
      var noise = GaussianNoise(seed: UInt64(index))
      let inputs = try golden.floats("\(index).inputs")
      let outputs = try golden.floats("\(index).outputs")
      var sample = noise.latents(shape: [16]).scalars.map { $0 * plan.initialNoiseScale }
      for (step, row) in plan.rows.enumerated() {
        let output = outputs[step * 16..<(step + 1) * 16]
        let expected = Array(inputs[step * 16..<(step + 1) * 16])
        // Both in single precision; a pure-noise end multiplies its roundings by thousands.
        let isExtreme = item.config.rescale_betas_zero_snr == true
        let largest = expected.map(abs).max() ?? 1
        expectClose(sample, expected, tolerance: (isExtreme ? 2e-3 : 2e-5) * max(largest, 1))
        let drawn =
          row.noise == 0 ? [Float](repeating: 0, count: 16) : noise.latents(shape: [16]).scalars
        sample = zip(sample, zip(output, drawn)).map { value, other in
          let moved = row.sample * Double(value) + row.output * Double(other.0)
          return Float(moved + row.noise * Double(other.1))
        }
      }
      let end = try golden.floats("\(index).end")
      expectClose(sample, end, tolerance: 3e-5 * max(end.map(abs).max() ?? 1, 1))
    }
  }

  @Test("Steps beyond the teacher's and solvers that do not fit are refused")
  func refused() {
    let error = #expect(throws: PlanError.self) {
      try ConsistencySchedule().plan(stepCount: 51, solver: .euler)
    }
    #expect(error?.message == "the consistency schedule takes 1 to 50 steps, got 51")
    for schedule in [ConsistencySchedule(), DiffusionSchedule()] as [any Schedule] {
      #expect(throws: PlanError.self) { try schedule.plan(stepCount: 4, solver: .heun) }
      #expect(throws: PlanError.self) { try schedule.plan(stepCount: 0, solver: .euler) }
    }
  }
}
