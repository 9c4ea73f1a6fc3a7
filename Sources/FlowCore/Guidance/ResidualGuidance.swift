/// What stands for the unprompted side of a trajectory whose unprompted output is not evaluated.
struct ResidualGuidance: Sendable {
  /// The clean latents that the unprompted output leads to; none before the first step of
  /// `onetimeNegative`.
  private let reference: Latents?
  /// The noise that the trajectory began with.
  private let noise: Latents

  init(reference: Latents?, noise: Latents) {
    self.reference = reference
    self.noise = noise
  }

  /// The same, with the place that an unprompted output leads to as the reference.
  func withReference(
    from output: Latents, at sample: Latents, _ residual: StepPlan.Residual
  ) -> ResidualGuidance {
    var scalars = output.scalars
    let scale = Float(1 / residual.reference)
    let sampleScale = -Float((residual.sample + residual.offset) / residual.reference)
    let noiseScale = -Float(residual.noise / residual.reference)
    for index in scalars.indices {
      scalars[index] =
        scale * scalars[index] + sampleScale * sample.scalars[index] + noiseScale
        * noise.scalars[index]
    }
    return ResidualGuidance(
      reference: Latents(shape: output.shape, scalars: scalars), noise: noise)
  }

  /// Extrapolates an output (held in `output`, prompted) from the residual one, in place.
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
