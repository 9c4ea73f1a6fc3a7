public import FlowCore

/// The detected sampling schedule of a checkpoint, and the reason.
public struct ScheduleFinding: Equatable, Sendable {
  /// The schedule, or nil if it is unknown.
  public let schedule: ScheduleChoice?
  /// The evidence, as text.
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

  /// The model's detected sampling schedule, and the reason.
  public var scheduleFinding: ScheduleFinding {
    if let noted = notes.schedule {
      return ScheduleFinding(schedule: noted, reason: "'\(notes.path)' says so")
    }
    guard let kind = ModelKind.of(evidence) else {
      return ScheduleFinding(
        schedule: nil,
        reason: "'\(scheduler.path)' \(scheduler.words), and neither its name nor a "
          + "streamflow.json specifies its kind; choose a "
          + "schedule (\(ScheduleChoice.spellings)), or set it in streamflow.json")
    }
    return ScheduleFinding(schedule: kind.schedule, reason: "\(kind.name): \(kind.sign)")
  }

  /// The defaults of the model for a chosen sampling schedule.
  ///
  /// Values of `streamflow.json` apply if they exist and the schedule is the one specified there;
  /// otherwise those of the model's kind.
  public func defaults(for choice: ScheduleChoice = .automatic) -> GenerationDefaults {
    let chosen = choice == .automatic ? scheduleFinding.schedule ?? .automatic : choice
    var defaults = ModelKind.defaults(of: chosen, evidence)
    guard choice == .automatic || choice == notes.schedule else { return defaults }
    defaults.stepCount = notes.stepCount ?? defaults.stepCount
    defaults.guidanceScale = notes.guidanceScale ?? defaults.guidanceScale
    return defaults
  }

  /// The guidance that a scale means for this model: none at 1 and below, as in diffusers (model
  /// cards write 0 for none), and distilled if the network reads the scale itself.
  public func guidance(scale: Float) -> Guidance {
    if family.readsGuidanceScale { return .distilled(scale: scale) }
    return scale <= 1 ? .none : .full(scale: scale)
  }
}
