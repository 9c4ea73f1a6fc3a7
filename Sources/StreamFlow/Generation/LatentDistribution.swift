internal import FlowCore
internal import FlowModels

/// What a full autoencoder says of an image: latents that are normally distributed.
struct LatentDistribution {
  /// The middle of the latents, scaled as the network reads them.
  let mean: Latents
  /// The spread of each element around it.
  let deviation: Latents

  /// Draws latents: `mean + deviation * noise`.
  ///
  /// The same noise gives the sample that `DiagonalGaussianDistribution.sample` of diffusers gives
  /// with a generator of that seed.
  func sample(_ noise: inout GaussianNoise) -> Latents {
    precondition(
      mean.shape == deviation.shape, "mean \(mean.shape), deviation \(deviation.shape)")
    let drawn = noise.latents(shape: mean.shape)
    return Latents(
      shape: mean.shape,
      scalars: mean.scalars.indices.map { index in
        mean.scalars[index] + deviation.scalars[index] * drawn.scalars[index]
      })
  }
}
