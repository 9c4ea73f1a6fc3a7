internal import ArgumentParser
internal import FlowCore
internal import FlowModels
internal import StreamFlow

extension SamplingOptions {
  /// Fills options that the user left out with the settings of an image.
  ///
  /// - Parameters:
  ///   - settings: the settings of the image.
  ///   - checkpoint: the model.
  /// - Returns: the settings that cannot be applied, as messages.
  mutating func complete(
    from settings: GenerationSettings, for checkpoint: Checkpoint
  ) -> [String] {
    var problems: [String] = []
    seed = seed ?? settings.seed.map { .number($0) }
    steps = steps ?? settings.stepCount
    if size == nil {
      width = width ?? settings.size?.width
      height = height ?? settings.size?.height
    }
    guidanceScale = guidanceScale ?? settings.guidanceScale
    guidance = guidance ?? settings.guidanceKind
    delta = delta ?? settings.delta
    skipLayers = skipLayers ?? settings.skipLayerGuidance
    negativePrompt = negativePrompt ?? settings.negativePrompt
    promptSyntax = promptSyntax ?? settings.promptSyntax
    spacing = spacing ?? settings.spacing
    noise = noise ?? settings.noiseSource
    clipSkip = clipSkip ?? settings.skippedTextLayers
    if seedBlend == nil, variation == nil, let blend = settings.seedBlend {
      seedBlend = BlendedSeed(blend: blend)
    }
    if blends.isEmpty, let blend = settings.blend {
      blends = blend.parts.map { BlendedPrompt(part: $0) }
      blendKind = blendKind ?? blend.kind
    }
    if guidance == .selfNegative {
      problems.append("self-negative guidance needs an input image; using onetime-negative")
      guidance = .onetimeNegative
    }
    problems += completeSampler(from: settings, for: checkpoint)
    return problems
  }

  /// Imports the schedule and the solver.
  private mutating func completeSampler(
    from settings: GenerationSettings, for checkpoint: Checkpoint
  ) -> [String] {
    guard schedule == nil, solver == nil else { return [] }
    guard settings["Schedule"] == nil else {
      schedule = settings.schedule
      solver = settings.solver
      let (unknownSchedule, unknownSolver) = (schedule == nil, solver == nil)
      return unknownSchedule || unknownSolver
        ? [samplerProblem(settings, for: checkpoint)] : []
    }
    guard let sampler = settings.sampler else { return [] }
    // The sampler names of other programs; a flow model has its own schedule.
    let isDiffusion =
      switch checkpoint.scheduleFinding.schedule {
      case .diffusion, .consistency, nil: true
      default: false
      }
    switch sampler.lowercased().replacing("_", with: " ") {
    case "euler":
      if isDiffusion { schedule = .diffusion(isAncestral: false) }
      return []
    case "euler a" where isDiffusion: schedule = .diffusion(isAncestral: true)
    case "lcm" where isDiffusion: schedule = .consistency
    case "heun" where !isDiffusion: solver = .heun
    default: return [samplerProblem(settings, for: checkpoint)]
    }
    return []
  }

  private func samplerProblem(
    _ settings: GenerationSettings, for checkpoint: Checkpoint
  ) -> String {
    let names = [settings.sampler, settings["Schedule"] ?? settings["Schedule type"]]
      .compactMap { $0 }.joined(separator: ", ")
    let own = schedule ?? checkpoint.scheduleFinding.schedule ?? .automatic
    return "the sampler '\(names)' is not supported; using the schedule \(own) with the solver "
      + "\((solver ?? .euler).rawValue)"
  }
}
