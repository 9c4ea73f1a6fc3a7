internal import FlowCore
internal import FlowModels

/// The output of a full autoencoder's encoder: a normal distribution of latents.
struct LatentDistribution {
  /// The mean of the latents, scaled as the network reads them.
  let mean: Latents
  /// The standard deviation of each element.
  let deviation: Latents

  /// Draws latents: `mean + deviation * noise`.
  ///
  /// The same noise gives the same sample as diffusers' `DiagonalGaussianDistribution.sample` with
  /// a generator of that seed.
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
