public import FlowCore

/// The sampling schedule of a checkpoint where the user names none, and why.
public struct ScheduleFinding: Equatable, Sendable {
  /// The schedule, or nil where it cannot be known.
  public let schedule: ScheduleChoice?
  /// What was found, in words.
  public let reason: String
}

extension Checkpoint {
  var evidence: ModelKind.Evidence {
    ModelKind.Evidence(
      pipelineName: pipelineName, schedulerName: scheduler.className,
      isTrailing: scheduler.isTrailing,
      name: ([name] + deltaNames).joined(separator: " ").lowercased(), loraNames: loraNames,
      textWidth: family.textWidth, readsPooledText: family.readsPooledText,
      readsGuidance: family.readsGuidanceScale, kinds: type(of: family).kinds,
      variant: family.variant)
  }

  /// The sampling schedule that suits the model, and why.
  public var scheduleFinding: ScheduleFinding {
    if let noted = notes.schedule {
      return ScheduleFinding(schedule: noted, reason: "'\(notes.path)' says so")
    }
    guard let kind = ModelKind.of(evidence) else {
      return ScheduleFinding(
        schedule: nil,
        reason: "'\(scheduler.path)' \(scheduler.words), and neither its name nor a "
          + "streamflow.json says which flow it is; choose a "
          + "schedule (\(ScheduleChoice.spellings)), or note it there for good")
    }
    return ScheduleFinding(schedule: kind.schedule, reason: "\(kind.name): \(kind.sign)")
  }

  /// What suits the model with the sampling schedule that was chosen.
  ///
  /// The notes' numbers where they say any and the way is the noted one, else those of its kind.
  public func defaults(for choice: ScheduleChoice = .automatic) -> GenerationDefaults {
    let chosen = choice == .automatic ? scheduleFinding.schedule ?? .automatic : choice
    var defaults = ModelKind.defaults(of: chosen, evidence)
    guard choice == .automatic || choice == notes.schedule else { return defaults }
    defaults.stepCount = notes.stepCount ?? defaults.stepCount
    defaults.guidanceScale = notes.guidanceScale ?? defaults.guidanceScale
    return defaults
  }

  /// The guidance that a scale means to this model: none at 1 and below, as in diffusers (model
  /// cards write 0 for none), and distilled where the network reads the scale itself.
  public func guidance(scale: Float) -> Guidance {
    if family.readsGuidanceScale { return .distilled(scale: scale) }
    return scale <= 1 ? .none : .full(scale: scale)
  }
}
