internal import FlowCore
internal import FlowModels

/// What engines of the network are made for: images of one size, rows of one structure.
struct LaneKey: Hashable, Sendable {
  let size: PixelSize
  /// What the network reads.
  let structure: NetworkStructure
}

/// Settings with all that is worked out of them once, for every input that they are used for.
struct ResolvedSettings: Sendable {
  /// The number of the change that they came with.
  let number: Int
  let settings: LiveSettings
  let lane: LaneKey
  let plan: StepPlan
  let conditioning: RequestConditioning
  let mask: LiveMask?
}

/// A mask as the images of one size need it.
struct LiveMask: Sendable {
  /// Where latents are repainted.
  let cells: Latents
  /// The weight of the repainted image at each pixel.
  let weights: ImageMask

  /// - Parameters:
  ///   - factor: the pixels of a latent pixel's side.
  init?(_ settings: LiveSettings, size: PixelSize, factor: Int) {
    guard let mask = settings.mask else { return nil }
    let fitted = mask.stretched(width: size.width, height: size.height)
    cells = fitted.cells(side: factor)
    weights = fitted.feathered(radius: settings.maskBlur)
  }
}

/// An input that is ready to fly.
struct Flight: Sendable {
  let lane: LaneKey
  let trajectory: Trajectory<Conditioning>

  /// The most rows that it takes of a tick.
  var rowCount: Int { trajectory.peakRowCount }

  /// The rows of a tick when one such input is admitted each tick.
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
