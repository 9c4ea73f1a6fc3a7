extension StepPlan {
  /// The output that a network would give if it knew the data: the reference.
  ///
  /// `delta * (sample * a + reference * b + noise * c) + offset * a`, where a is the sample, b the
  /// clean reference and c the noise that the trajectory began with. What delta scales is the
  /// velocity in a flow, the network's own output in a diffusion model.
  public struct Residual: Equatable, Sendable {
    /// The coefficient of the sample.
    public var sample: Double
    /// The coefficient of the reference; not 0.
    public var reference: Double
    /// The coefficient of the first noise.
    public var noise: Double
    /// The part of the sample's coefficient that delta leaves alone.
    public var offset: Double

    /// Creates coefficients; what is left out is 0.
    public init(
      sample: Double = 0, reference: Double, noise: Double = 0, offset: Double = 0
    ) {
      self.sample = sample
      self.reference = reference
      self.noise = noise
      self.offset = offset
    }

    /// That of a network whose output is the velocity `noise - data`, or its negative: the
    /// velocity that leads from the reference here, `(sample - reference) / sigma`.
    static func velocity(sigma: Double, sign: Double = 1) -> Residual {
      // An inversion begins at clean data, where the sample is the reference.
      let sigma = max(sigma, 0x1p-24)
      return Residual(sample: sign / sigma, reference: -sign / sigma)
    }
  }

  /// What the first sample of a trajectory is that starts from an image:
  /// `reference * a + noise * b`.
  public struct Start: Equatable, Sendable {
    /// The coefficient of the image's clean latents.
    public var reference: Double
    /// The coefficient of unit noise.
    public var noise: Double

    /// Creates the start of a plan.
    public init(reference: Double, noise: Double) {
      self.reference = reference
      self.noise = noise
    }

    /// Clean data.
    static let clean = Start(reference: 1, noise: 0)

    /// That of a flow, `(1 - sigma) * data + sigma * noise`.
    static func flow(sigma: Double) -> Start { Start(reference: 1 - sigma, noise: sigma) }

    /// That of a diffusion model, `sqrt(alpha) * data + sqrt(1 - alpha) * noise`.
    static func diffusion(alpha: Double) -> Start {
      Start(reference: alpha.squareRoot(), noise: (1 - alpha).squareRoot())
    }
  }
}
