internal import FlowCore
public import FlowModels

extension GenerationRequest {
  /// Whether two requests have the same plan.
  ///
  /// Compares all that `Checkpoint.plan` reads.
  func hasPlan(of other: GenerationRequest) -> Bool {
    stepCount == other.stepCount && schedule == other.schedule && spacing == other.spacing
      && solver == other.solver && source?.strength == other.source?.strength
      && (source?.mask == nil) == (other.source?.mask == nil)
      && editing?.method == other.editing?.method
      && skipLayerGuidance == other.skipLayerGuidance
      && (skipLayerGuidance == nil || guidance == other.guidance)
  }
}

extension Checkpoint {
  /// Checks a size in pixels against ``sizeMultiple`` and against bounds that keep sums finite.
  public func check(width: Int, height: Int) throws(ModelError) {
    let factor = sizeMultiple
    for (name, extent) in [("width", width), ("height", height)] {
      guard (factor...16384).contains(extent), extent.isMultiple(of: factor) else {
        let bounded = min(max(extent, 0), 16384)
        let nearest = min(max((bounded + factor / 2) / factor * factor, factor), 16384)
        throw ModelError(
          code: .requestInvalid,
          message: "\(name) must be a multiple of \(factor) from \(factor) to 16384 pixels for "
            + "\(self.name), got \(extent); \(nearest) is the nearest")
      }
    }
  }

  /// Checks that clip skip leaves a layer of the text encoders.
  func check(skippedTextLayers skipped: Int) throws(ModelError) {
    for encoder in textEncoders {
      let count = encoder.layerCount
      guard (0..<count).contains(skipped) else {
        throw ModelError(
          code: .requestInvalid,
          message: "clip skip of \(skipped) leaves none of the \(count) layers of "
            + encoder.name)
      }
    }
  }

  /// Checks what a request's plan does not depend on.
  func check(_ request: GenerationRequest) throws(ModelError) {
    let guidance = request.guidance
    func refused(_ message: String) -> ModelError {
      ModelError(code: .requestInvalid, message: message)
    }
    if let skipped = request.skippedTextLayers { try check(skippedTextLayers: skipped) }
    try request.blend?.check()
    if let fraction = request.seedBlend?.fraction, !(0...1).contains(fraction) {
      throw refused("the fraction of another seed's noise is 0 to 1, got \(fraction)")
    }
    try check(request.source)
    _ = try adapterIndices(of: request)
    try checkReferences(of: request)
    try check(request.editing, of: request)
    try check(request.skipLayerGuidance, of: request)
    guard guidance.isFinite else {
      throw refused("the guidance scale and delta must be numbers, got \(guidance)")
    }
    guard !guidance.needsReference || request.source != nil else {
      throw refused(
        "selfNegative guidance needs a reference image, and an image made of text "
          + "has none; choose onetimeNegative (onetime-negative) or full")
    }
    if case .distilled = guidance, !family.readsGuidanceScale {
      throw refused(
        "the network of \(name) does not read a guidance scale (time_cond_proj_dim); choose full "
          + "or onetimeNegative guidance")
    }
  }

  /// Compiles the plan of a request.
  func plan(
    for request: GenerationRequest, width: Int, height: Int
  ) throws(ModelError) -> StepPlan {
    let places = width * height / (autoencoder.factor * autoencoder.factor)
    var choice = request.schedule
    if choice == .automatic {
      let finding = scheduleFinding
      guard let found = finding.schedule else {
        throw ModelError(
          code: .unsupported, message: finding.reason, settings: [.schedule])
      }
      choice = found
    }
    let tokens = family.imageTokenCount(latentPixels: places)
    let schedule = scheduler.schedule(
      choice, spacing: request.spacing ?? family.spacing, imageTokenCount: tokens,
      shift: family.timeShift(stepCount: request.stepCount, imageTokenCount: tokens))
    do {
      return try plan(for: request, schedule)
    } catch let error as PlanError {
      throw ModelError(code: .requestInvalid, message: error.message, cause: error)
    } catch let error as ModelError { throw error } catch { preconditionFailure("\(error)") }
  }

  private func plan(
    for request: GenerationRequest, _ schedule: any Schedule
  ) throws -> StepPlan {
    let strength = request.source?.strength ?? 1
    guard let editing = request.editing else {
      var plan = try schedule.plan(
        stepCount: request.stepCount, solver: request.solver, strength: strength)
      if request.source?.mask != nil, strength == 1 {
        // The masked part starts from pure noise, as in diffusers' inpainting.
        plan.start = StepPlan.Start(reference: 0, noise: Double(plan.initialNoiseScale))
      }
      guard let skipping = request.skipLayerGuidance else { return plan }
      try check(skipping, of: request)
      return plan.guided(by: skipping, over: request.guidance)
    }
    guard let flow = schedule as? any FlowSchedule else {
      throw ModelError(
        code: .requestInvalid,
        message: "\(editing.method.name) edits with models of straight flows, and the sampling "
          + "schedule of \(name) is not one; use image-to-image",
        settings: [.schedule])
    }
    return try editing.method.plan(
      stepCount: request.stepCount, strength: strength, schedule: flow,
      readsScale: family.readsGuidanceScale)
  }
}
