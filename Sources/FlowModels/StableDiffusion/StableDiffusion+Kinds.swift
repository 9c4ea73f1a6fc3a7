internal import FlowCore

/// The models of the family, and their distilled variants.
extension StableDiffusion {
  static let kinds: [ModelKind] = [
    ModelKind(
      name: "InstaFlow", sign: "the pipeline is RectifiedFlowPipeline and the name has 'instaflow'",
      schedule: .rectified, stepCount: 1, guidanceScale: 1
    ) { $0.pipelineName == "RectifiedFlowPipeline" && $0.name.contains("instaflow") },
    ModelKind(
      name: "2-Rectified Flow", sign: "the pipeline is RectifiedFlowPipeline",
      schedule: .rectified, stepCount: 25, guidanceScale: 1.5
    ) { $0.pipelineName == "RectifiedFlowPipeline" },
    ModelKind(
      name: "a flow", sign: "the scheduler is FlowMatchEulerDiscreteScheduler",
      schedule: .flowMatching, stepCount: 4, guidanceScale: 1
    ) { $0.schedulerName == "FlowMatchEulerDiscreteScheduler" },
    ModelKind(
      name: "LCM-LoRA", sign: "a LoRA's name has 'lcm'",
      schedule: .consistency, stepCount: 4, guidanceScale: 1
    ) { evidence in
      !evidence.readsGuidance
        && evidence.loraNames.contains { name in
          name.split { !$0.isLetter && !$0.isNumber }.contains("lcm")
        }
    },
    ModelKind(
      name: "a latent consistency model", sign: "the network reads the guidance scale",
      schedule: .consistency, stepCount: 4, guidanceScale: 8.5
    ) { $0.readsGuidance },
    ModelKind(
      name: "a latent consistency model", sign: "the scheduler is LCMScheduler",
      schedule: .consistency, stepCount: 4, guidanceScale: 1
    ) { $0.schedulerName == "LCMScheduler" },
    ModelKind(
      name: "PeRFlow of Stable Diffusion XL",
      sign: "the name has 'perflow', and the network has a pooled text",
      schedule: .perflow(.ddimEps), stepCount: 6, guidanceScale: 2
    ) { $0.name.contains("perflow") && $0.readsPooledText },
    ModelKind(
      name: "PeRFlow of Stable Diffusion 2",
      sign: "the name has 'perflow', and the text is 1024 wide",
      schedule: .perflow(.velocity), stepCount: 8, guidanceScale: 7.5
    ) { $0.name.contains("perflow") && $0.textWidth == 1024 },
    ModelKind(
      name: "PeRFlow of Stable Diffusion 1", sign: "the name has 'perflow'",
      schedule: .perflow(.diffEps), stepCount: 4, guidanceScale: 4.5
    ) { $0.name.contains("perflow") },
    ModelKind(
      name: "SDXS", sign: "the name has 'sdxs'",
      schedule: .diffusion(isAncestral: false), stepCount: 1, guidanceScale: 1
    ) { $0.name.contains("sdxs") },
    ModelKind(
      name: "SDXL-Turbo", sign: "Euler steps from the last timestep (trailing), a pooled text",
      schedule: .diffusion(isAncestral: true), stepCount: 1, guidanceScale: 1
    ) {
      $0.schedulerName == "EulerAncestralDiscreteScheduler" && $0.isTrailing && $0.readsPooledText
    },
    ModelKind(
      name: "SD-Turbo", sign: "Euler steps from the last timestep (trailing)",
      schedule: .diffusion(isAncestral: false), stepCount: 1, guidanceScale: 1
    ) { $0.schedulerName == "EulerDiscreteScheduler" && $0.isTrailing },
    ModelKind(
      name: "a diffusion model", sign: "the scheduler is EulerDiscreteScheduler",
      schedule: .diffusion(isAncestral: false), stepCount: 25, guidanceScale: 7.5
    ) { $0.schedulerName == "EulerDiscreteScheduler" },
    ModelKind(
      name: "a diffusion model", sign: "the scheduler is EulerAncestralDiscreteScheduler",
      schedule: .diffusion(isAncestral: true), stepCount: 25, guidanceScale: 7.5
    ) { $0.schedulerName == "EulerAncestralDiscreteScheduler" },
  ]
}

extension ScheduleChoice {
  fileprivate static func perflow(_ prediction: Prediction) -> ScheduleChoice {
    var schedule = PiecewiseFlowSchedule()
    schedule.prediction = prediction
    return .piecewise(schedule)
  }
}
