internal import FlowCore

extension GenerationRequest {
  /// Whether two requests come to the same plan: all that `Checkpoint.plan` looks at.
  func hasPlan(of other: GenerationRequest) -> Bool {
    stepCount == other.stepCount && schedule == other.schedule && spacing == other.spacing
      && solver == other.solver && guidance == other.guidance
  }
}

extension Checkpoint {
  /// Checks a size in pixels against the autoencoder's factor and bounds that keep sums finite.
  func check(width: Int, height: Int) throws(ModelError) {
    let factor = autoencoder.factor
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

  /// Compiles the plan of a request.
  func plan(
    for request: GenerationRequest, width: Int, height: Int
  ) throws(ModelError) -> StepPlan {
    let places = width * height / (autoencoder.factor * autoencoder.factor)
    let schedule = try scheduler.schedule(
      request.schedule, spacing: request.spacing, latentPlaces: places)
    if case .full(let scale) = request.guidance, !scale.isFinite {
      throw ModelError(
        code: .requestInvalid, message: "the guidance scale must be a number, got \(scale)")
    }
    do { return try schedule.plan(stepCount: request.stepCount, solver: request.solver) } catch {
      throw ModelError(code: .requestInvalid, message: error.message, cause: error)
    }
  }
}
