internal import ArgumentParser
internal import StreamFlow

extension SamplingOptions {
  /// The variation seed and its strength, if there is one.
  var variation: SeedBlend? {
    variationSeed.map { SeedBlend(seed: $0, fraction: variationStrength ?? 0.5) }
  }

  /// Checks the variation seed and its strength.
  func checkVariation() throws {
    if let variationStrength, !(0...1).contains(variationStrength) {
      throw ValidationError("--variation-strength must be 0 to 1, got \(variationStrength)")
    }
    if variationStrength != nil, variationSeed == nil {
      throw ValidationError("--variation-strength needs --variation-seed")
    }
    if variationSeed != nil, seedBlend != nil {
      throw ValidationError(
        "--variation-seed and --seed-blend are the same; leave one out")
    }
  }
}
