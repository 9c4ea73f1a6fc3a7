internal import FlowCore
internal import FlowModels

/// The key of a network's engines: the size of images and the structure of rows.
struct LaneKey: Hashable, Sendable {
  let size: PixelSize
  /// The structure of rows.
  let structure: NetworkStructure
}

/// Settings with everything that is computed from them once, for all inputs that use them.
struct ResolvedSettings: Sendable {
  /// The number of the change that they came with.
  let number: Int
  var settings: LiveSettings
  let lane: LaneKey
  var plan: StepPlan
  let conditioning: RequestConditioning
  let mask: FittedMask?
}

/// An input that is ready for admission.
struct Flight: Sendable {
  let lane: LaneKey
  let trajectory: Trajectory<Conditioning>

  /// The maximum number of batch rows of a step.
  var rowCount: Int { trajectory.peakRowCount }

  /// The number of rows of a tick if one such input is admitted each tick.
  var steadyRowCount: Int {
    trajectory.plan.rowCount(guidance: trajectory.guidance)
  }
}

/// A trajectory that has arrived.
struct Arrival: Sendable {
  let index: Int
  let size: PixelSize
  let latents: Latents
}
