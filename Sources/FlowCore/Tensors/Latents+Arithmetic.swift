extension Latents {
  /// Replaces the sample by `sample * a + output * b`, in place.
  mutating func advance(by step: AffineStep, along output: Latents) {
    precondition(scalars.count == output.scalars.count, "sample and output differ in count")
    let output = output.scalars.span
    var sample = scalars.mutableSpan
    for index in sample.indices {
      sample[index] = step.sample * sample[index] + step.output * output[index]
    }
  }

  /// Multiplies every element, in place.
  mutating func scale(by factor: Float) {
    guard factor != 1 else { return }
    var sample = scalars.mutableSpan
    for index in sample.indices { sample[index] *= factor }
  }

  /// Adds another tensor times a factor, in place.
  mutating func add(_ other: Latents, times factor: Float) {
    add(other.scalars.span, times: factor)
  }

  /// Replaces the elements by those of a span of the same count.
  mutating func copy(from source: Span<Float>) {
    precondition(scalars.count == source.count, "the two differ in count")
    var sample = scalars.mutableSpan
    for index in sample.indices { sample[index] = source[index] }
  }

  /// Replaces the elements by those of a span of the same count, times a factor.
  mutating func copy(from source: Span<Float>, times factor: Float) {
    guard factor != 1 else { return copy(from: source) }
    precondition(scalars.count == source.count, "the two differ in count")
    var sample = scalars.mutableSpan
    for index in sample.indices { sample[index] = factor * source[index] }
  }

  /// Adds a span of the same count times a factor, in place.
  mutating func add(_ other: Span<Float>, times factor: Float) {
    precondition(scalars.count == other.count, "the two differ in count")
    var sample = scalars.mutableSpan
    for index in sample.indices { sample[index] += factor * other[index] }
  }

  /// Replaces the elements by `held * a + other * b`, in place.
  mutating func mix(_ held: Float, with other: Latents, times factor: Float) {
    precondition(scalars.count == other.scalars.count, "the two differ in count")
    let other = other.scalars.span
    var sample = scalars.mutableSpan
    for index in sample.indices { sample[index] = held * sample[index] + factor * other[index] }
  }

  /// Replaces the elements outside a mask by `source * a + noise * b`, in place.
  ///
  /// `held + mask * (sample - held)`; the mask is the same for all channels.
  mutating func hold(
    outside mask: Latents, to source: Latents, times a: Float, and noise: Latents, times b: Float
  ) {
    precondition(scalars.count == source.scalars.count, "the two differ in count")
    let (mask, source, noise) = (mask.scalars.span, source.scalars.span, noise.scalars.span)
    var sample = scalars.mutableSpan
    var place = 0
    for index in sample.indices {
      let weight = mask[place]
      place = place + 1 == mask.count ? 0 : place + 1
      guard weight != 1 else { continue }
      let held = a * source[index] + b * noise[index]
      sample[index] = held + weight * (sample[index] - held)
    }
  }

  /// Extrapolates from an unconditional prediction (held here) towards a conditional one, in place.
  ///
  /// `unconditional + scale * (conditional - unconditional)`, equation 6 of Ho and Salimans, 2022
  /// (arXiv:2207.12598) with diffusers' definition of the scale, where 1 is the conditional
  /// prediction itself.
  mutating func extrapolate(towards prompted: Span<Float>, scale: Float) {
    precondition(scalars.count == prompted.count, "the two outputs differ in count")
    var output = scalars.mutableSpan
    for index in output.indices {
      output[index] += scale * (prompted[index] - output[index])
    }
  }
}
