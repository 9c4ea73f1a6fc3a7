internal import FlowCore

/// What a model was distilled to, how that is seen, and what suits it.
///
/// A folder rarely says what it was distilled to: PeRFlow's names a scheduler that it is not to be
/// run with. The kinds of a family are tried in order, and the first that matches is the model's.
package struct ModelKind: Sendable {
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
    /// The width of the texts that the network reads: 768 is Stable Diffusion 1, 1024 is 2, 2048 is XL.
    let textWidth: Int
    /// Whether the network reads a pooled text.
    let readsPooledText: Bool
    /// Whether the network reads the guidance scale.
    let readsGuidance: Bool
    /// The kinds of the model's family.
    let kinds: [ModelKind]
    /// Which of the family's published networks is built like the model's, where that is told.
    var variant: String?
  }

  /// The kind's name.
  let name: String
  /// What on disk tells the kind.
  let sign: String
  let schedule: ScheduleChoice
  let stepCount: Int
  let guidanceScale: Float
  private let matches: @Sendable (Evidence) -> Bool

  /// The first kind whose signs are there.
  static func of(_ evidence: Evidence) -> ModelKind? {
    evidence.kinds.first { $0.matches(evidence) }
  }

  /// What suits a sampling schedule that the user chose, whatever the kind.
  static func defaults(of choice: ScheduleChoice, _ evidence: Evidence) -> GenerationDefaults {
    let own = of(evidence)
    // The kind's own numbers where it goes that way, else those of the first row that does; a
    // model is not turbo for being stepped by Euler.
    let row = (own.map { [$0] } ?? []) + evidence.kinds.filter { !$0.name.hasSuffix("-Turbo") }
    let kind = row.first { $0.schedule == choice } ?? row.first { $0.schedule.isKind(of: choice) }
    return GenerationDefaults(
      stepCount: max(kind?.stepCount ?? 4, choice.leastStepCount),
      guidanceScale: kind?.guidanceScale ?? 1)
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
