public import FlowCore

/// What a model was distilled to, how that is seen, and what suits it: a table of one row each.
///
/// A folder rarely says what it was distilled to: PeRFlow's names a scheduler that it is not to be
/// run with. The rows are tried in order, and the first that matches is the family.
struct ModelFamily: Sendable {
  /// What the rows look at.
  struct Evidence {
    let pipelineName: String
    let schedulerName: String
    /// Whether the scheduler's file lays timesteps out from the last (`timestep_spacing`).
    let isTrailing: Bool
    /// The model's name and those of its delta weights, in lower case.
    let name: String
    /// The names of the LoRAs over it, in lower case.
    let loraNames: [String]
    /// What the network reads besides: 768 wide is Stable Diffusion 1, 1024 is 2, 2048 is XL.
    let conditioningWidth: Int
    let isXL: Bool
    let readsGuidance: Bool
  }

  /// The family's name.
  let name: String
  /// What on disk tells the family.
  let sign: String
  let schedule: ScheduleChoice
  let stepCount: Int
  let guidanceScale: Float
  private let matches: @Sendable (Evidence) -> Bool

  /// The families that are known.
  static let table: [ModelFamily] = [
    ModelFamily(
      name: "InstaFlow", sign: "the pipeline is RectifiedFlowPipeline and the name has 'instaflow'",
      schedule: .rectified, stepCount: 1, guidanceScale: 1
    ) { $0.pipelineName == "RectifiedFlowPipeline" && $0.name.contains("instaflow") },
    ModelFamily(
      name: "2-Rectified Flow", sign: "the pipeline is RectifiedFlowPipeline",
      schedule: .rectified, stepCount: 25, guidanceScale: 1.5
    ) { $0.pipelineName == "RectifiedFlowPipeline" },
    ModelFamily(
      name: "a flow", sign: "the scheduler is FlowMatchEulerDiscreteScheduler",
      schedule: .flowMatching, stepCount: 4, guidanceScale: 1
    ) { $0.schedulerName == "FlowMatchEulerDiscreteScheduler" },
    ModelFamily(
      name: "LCM-LoRA", sign: "a LoRA's name has 'lcm'",
      schedule: .consistency, stepCount: 4, guidanceScale: 1
    ) { evidence in
      !evidence.readsGuidance
        && evidence.loraNames.contains { name in
          name.split { !$0.isLetter && !$0.isNumber }.contains("lcm")
        }
    },
    ModelFamily(
      name: "a latent consistency model", sign: "the network reads the guidance scale",
      schedule: .consistency, stepCount: 4, guidanceScale: 8.5
    ) { $0.readsGuidance },
    ModelFamily(
      name: "a latent consistency model", sign: "the scheduler is LCMScheduler",
      schedule: .consistency, stepCount: 4, guidanceScale: 1
    ) { $0.schedulerName == "LCMScheduler" },
    ModelFamily(
      name: "PeRFlow of Stable Diffusion XL",
      sign: "the name has 'perflow', and the network has a pooled text",
      schedule: .perflow(.ddimEps), stepCount: 6, guidanceScale: 2
    ) { $0.name.contains("perflow") && $0.isXL },
    ModelFamily(
      name: "PeRFlow of Stable Diffusion 2",
      sign: "the name has 'perflow', and the text is 1024 wide",
      schedule: .perflow(.velocity), stepCount: 8, guidanceScale: 7.5
    ) { $0.name.contains("perflow") && $0.conditioningWidth == 1024 },
    ModelFamily(
      name: "PeRFlow of Stable Diffusion 1", sign: "the name has 'perflow'",
      schedule: .perflow(.diffEps), stepCount: 4, guidanceScale: 4.5
    ) { $0.name.contains("perflow") },
    ModelFamily(
      name: "SDXL-Turbo", sign: "Euler steps from the last timestep (trailing), a pooled text",
      schedule: .diffusion(isAncestral: true), stepCount: 1, guidanceScale: 1
    ) { $0.schedulerName == "EulerAncestralDiscreteScheduler" && $0.isTrailing && $0.isXL },
    ModelFamily(
      name: "SD-Turbo", sign: "Euler steps from the last timestep (trailing)",
      schedule: .diffusion(isAncestral: false), stepCount: 1, guidanceScale: 1
    ) { $0.schedulerName == "EulerDiscreteScheduler" && $0.isTrailing },
    ModelFamily(
      name: "a diffusion model", sign: "the scheduler is EulerDiscreteScheduler",
      schedule: .diffusion(isAncestral: false), stepCount: 25, guidanceScale: 7.5
    ) { $0.schedulerName == "EulerDiscreteScheduler" },
    ModelFamily(
      name: "a diffusion model", sign: "the scheduler is EulerAncestralDiscreteScheduler",
      schedule: .diffusion(isAncestral: true), stepCount: 25, guidanceScale: 7.5
    ) { $0.schedulerName == "EulerAncestralDiscreteScheduler" },
  ]

  /// The first family whose signs are there.
  static func of(_ evidence: Evidence) -> ModelFamily? { table.first { $0.matches(evidence) } }

  /// What suits a way through time that the user chose, whatever the family.
  static func defaults(of choice: ScheduleChoice, _ evidence: Evidence) -> GenerationDefaults {
    let family = of(evidence)
    // The family's own numbers where it goes that way, else those of the first row that does; a
    // model is not turbo for being stepped by Euler.
    let row = (family.map { [$0] } ?? []) + table.filter { !$0.name.hasSuffix("-Turbo") }
    let kind = row.first { $0.schedule == choice } ?? row.first { $0.schedule.isKind(of: choice) }
    return GenerationDefaults(
      stepCount: max(kind?.stepCount ?? 4, choice.leastStepCount),
      guidanceScale: kind?.guidanceScale ?? 1)
  }

  private init(
    name: String, sign: String, schedule: ScheduleChoice, stepCount: Int, guidanceScale: Float,
    matches: @escaping @Sendable (Evidence) -> Bool
  ) {
    self.name = name
    self.sign = sign
    self.schedule = schedule
    self.stepCount = stepCount
    self.guidanceScale = guidanceScale
    self.matches = matches
  }
}

extension ScheduleChoice {
  fileprivate static func perflow(_ prediction: Prediction) -> ScheduleChoice {
    var schedule = PiecewiseFlowSchedule()
    schedule.prediction = prediction
    return .piecewise(schedule)
  }

  /// The fewest steps that have a plan.
  fileprivate var leastStepCount: Int {
    if case .piecewise(let schedule) = self { schedule.windowCount } else { 1 }
  }

  /// Whether two choices are of one kind: PeRFlow's of one prediction, whatever the windows.
  fileprivate func isKind(of other: ScheduleChoice) -> Bool {
    switch (self, other) {
    case (.piecewise(let left), .piecewise(let right)): left.prediction == right.prediction
    default: self == other
    }
  }
}

/// The way through time that a checkpoint takes where the user says nothing, and why.
public struct ScheduleFinding: Equatable, Sendable {
  /// The way; nothing where it cannot be known.
  public let schedule: ScheduleChoice?
  /// What was found, in words.
  public let reason: String
}

extension Checkpoint {
  var evidence: ModelFamily.Evidence {
    ModelFamily.Evidence(
      pipelineName: pipelineName, schedulerName: scheduler.className,
      isTrailing: scheduler.isTrailing,
      name: ([name] + deltaNames).joined(separator: " ").lowercased(), loraNames: loraNames,
      conditioningWidth: unet.conditioningWidth, isXL: unet.addition != nil,
      readsGuidance: unet.guidanceWidth != nil)
  }

  /// The way through time that suits the model, and why.
  public var scheduleFinding: ScheduleFinding {
    if let noted = notes.schedule {
      return ScheduleFinding(schedule: noted, reason: "'\(notes.path)' says so")
    }
    guard let family = ModelFamily.of(evidence) else {
      return ScheduleFinding(
        schedule: nil,
        reason: "'\(scheduler.path)' \(scheduler.words), and neither its name nor a "
          + "streamflow.json says which flow it is; choose with "
          + "--schedule (\(ScheduleChoice.spellings)), or for good with `streamflow adopt`")
    }
    return ScheduleFinding(schedule: family.schedule, reason: "\(family.name): \(family.sign)")
  }

  /// What suits the model, on the way through time that was chosen.
  ///
  /// The notes' numbers where they say any and the way is the noted one, else the family's.
  public func defaults(for choice: ScheduleChoice = .automatic) -> GenerationDefaults {
    let chosen = choice == .automatic ? scheduleFinding.schedule ?? .automatic : choice
    var defaults = ModelFamily.defaults(of: chosen, evidence)
    guard choice == .automatic || choice == notes.schedule else { return defaults }
    defaults.stepCount = notes.stepCount ?? defaults.stepCount
    defaults.guidanceScale = notes.guidanceScale ?? defaults.guidanceScale
    return defaults
  }

  /// The request of a prompt with what suits the model, and a seed by chance.
  ///
  /// - Parameters:
  ///   - prompt: the prompt.
  ///   - schedule: the way through time.
  ///   - guidanceScale: the guidance scale; what suits the way where nothing is said.
  public func request(
    _ prompt: String, schedule: ScheduleChoice = .automatic, guidanceScale: Float? = nil
  ) -> GenerationRequest {
    let defaults = defaults(for: schedule)
    var request = GenerationRequest(prompt: prompt)
    request.schedule = schedule
    request.stepCount = defaults.stepCount
    request.guidance = guidance(scale: guidanceScale ?? defaults.guidanceScale)
    // Short enough to be typed again.
    request.seed = UInt64(UInt32.random(in: 0 ... .max))
    return request
  }

  /// The guidance that a scale means to this model: none at 1 and below, as in diffusers (model
  /// cards write 0 for none), and distilled where the network reads the scale itself.
  public func guidance(scale: Float) -> Guidance {
    if unet.guidanceWidth != nil { return .distilled(scale: scale) }
    return scale <= 1 ? .none : .full(scale: scale)
  }
}
