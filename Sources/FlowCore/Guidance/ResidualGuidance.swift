/// Replaces the unconditional prediction of a trajectory for which it is not evaluated.
struct ResidualGuidance: Sendable {
  /// The clean latents that the unconditional prediction leads to; nil before the first step of
  /// `onetimeNegative`.
  private let reference: Latents?
  /// The initial noise of the trajectory.
  private let noise: Latents

  init(reference: Latents?, noise: Latents) {
    self.reference = reference
    self.noise = noise
  }

  /// The same with the latents that an unconditional prediction leads to as the reference.
  func withReference(
    from output: Latents, at sample: Latents, _ residual: StepPlan.Residual
  ) -> ResidualGuidance {
    ResidualGuidance(
      reference: residual.reference(of: output, at: sample, noise: noise), noise: noise)
  }

  /// Extrapolates a conditional prediction (in `output`) from the residual one, in place.
  func guide(
    _ output: inout Latents, at sample: Latents, _ residual: StepPlan.Residual, scale: Float,
    delta: Float
  ) {
    guard let reference else { preconditionFailure("the first step gives the reference") }
    let sampleScale = Float(Double(delta) * residual.sample + residual.offset)
    let referenceScale = delta * Float(residual.reference)
    let noiseScale = delta * Float(residual.noise)
    let (sample, noise) = (sample.scalars.span, noise.scalars.span)
    let clean = reference.scalars.span
    var prompted = output.scalars.mutableSpan
    for index in prompted.indices {
      let unprompted =
        sampleScale * sample[index] + referenceScale * clean[index] + noiseScale * noise[index]
      prompted[index] = unprompted + scale * (prompted[index] - unprompted)
    }
  }
}

extension StepPlan.Residual {
  /// The clean latents that a prediction leads to: the residual's equation solved for the
  /// reference.
  func reference(of output: Latents, at sample: Latents, noise: Latents) -> Latents {
    var scalars = output.scalars
    let scale = Float(1 / reference)
    let sampleScale = -Float((self.sample + offset) / reference)
    let noiseScale = -Float(self.noise / reference)
    let (sample, noise) = (sample.scalars.span, noise.scalars.span)
    var clean = scalars.mutableSpan
    for index in clean.indices {
      clean[index] =
        scale * clean[index] + sampleScale * sample[index] + noiseScale * noise[index]
    }
    return Latents(shape: output.shape, scalars: scalars)
  }
}
