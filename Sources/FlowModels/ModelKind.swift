internal import FlowCore

/// A kind of distilled or base model, its detection, and its defaults.
///
/// A folder rarely specifies what a model was distilled to: PeRFlow's names a scheduler that must
/// not be used with it. The kinds of a family are tried in order, and the first match is the
/// model's kind.
package struct ModelKind: Sendable {
  /// The evidence that detection uses.
  struct Evidence {
    let pipelineName: String
    let schedulerName: String
    /// Whether the scheduler's file lays timesteps out from the last (`timestep_spacing`).
    let isTrailing: Bool
    /// The model's name and those of its delta weights, in lower case.
    let name: String
    /// The names of the LoRAs over it, in lower case.
    let loraNames: [String]
    /// The width of the text states: 768 is Stable Diffusion 1, 1024 is 2, 2048 is XL.
    let textWidth: Int
    /// Whether the network reads a pooled text.
    let readsPooledText: Bool
    /// Whether the network reads the guidance scale.
    let readsGuidance: Bool
    /// The kinds of the model's family.
    let kinds: [ModelKind]
    /// The published network with the model's configuration, if it can be distinguished.
    var variant: String?
  }

  /// The kind's name.
  let name: String
  /// The evidence for the kind.
  let sign: String
  let schedule: ScheduleChoice
  let stepCount: Int
  let guidanceScale: Float
  private let matches: @Sendable (Evidence) -> Bool

  /// The first kind whose evidence is present.
  static func of(_ evidence: Evidence) -> ModelKind? {
    evidence.kinds.first { $0.matches(evidence) }
  }

  /// The defaults for a sampling schedule chosen by the user.
  static func defaults(of choice: ScheduleChoice, _ evidence: Evidence) -> GenerationDefaults {
    let own = of(evidence)
    // The kind's own defaults if it has that schedule, else those of the first kind that has; a
    // model is not turbo just because Euler steps are chosen.
    let others = evidence.kinds.filter {
      !$0.name.hasSuffix("-Turbo") && !$0.isOneStepDiffusion
    }
    let row = (own.map { [$0] } ?? []) + others
    let kind = row.first { $0.schedule == choice } ?? row.first { $0.schedule.isKind(of: choice) }
    return GenerationDefaults(
      stepCount: max(kind?.stepCount ?? 4, choice.leastStepCount),
      guidanceScale: kind?.guidanceScale ?? 1)
  }

  /// Whether it is a diffusion model that was distilled to one step.
  private var isOneStepDiffusion: Bool {
    if case .diffusion = schedule { stepCount == 1 } else { false }
  }

  init(
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
  /// The minimum number of steps that the schedule supports.
  fileprivate var leastStepCount: Int {
    if case .piecewise(let schedule) = self { schedule.windowCount } else { 1 }
  }

  /// Whether two choices are of one kind: PeRFlow with the same prediction and any windows.
  fileprivate func isKind(of other: ScheduleChoice) -> Bool {
    switch (self, other) {
    case (.piecewise(let left), .piecewise(let right)): left.prediction == right.prediction
    default: self == other
    }
  }
}
