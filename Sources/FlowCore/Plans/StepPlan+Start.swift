extension StepPlan {
  /// The output that a network would give if it knew the reference as the data.
  ///
  /// `delta * (sample * a + reference * b + noise * c) + offset * a`, where a is the sample, b the
  /// clean reference and c the noise that the trajectory began with. Delta scales the velocity in a
  /// flow, and the network's own output in a diffusion model.
  public struct Residual: Equatable, Sendable {
    /// The coefficient of the sample.
    public var sample: Double
    /// The coefficient of the reference; not 0.
    public var reference: Double
    /// The coefficient of the first noise.
    public var noise: Double
    /// The part of the sample's coefficient that delta does not scale.
    public var offset: Double

    /// Creates coefficients; all are 0 by default.
    public init(
      sample: Double = 0, reference: Double, noise: Double = 0, offset: Double = 0
    ) {
      self.sample = sample
      self.reference = reference
      self.noise = noise
      self.offset = offset
    }

    /// The residual of a network whose output is the velocity `noise - data`, or its negative: the
    /// velocity from the reference, `(sample - reference) / sigma`.
    static func velocity(sigma: Double, sign: Double = 1) -> Residual {
      // An inversion begins at clean data, where the sample is the reference.
      let sigma = max(sigma, 0x1p-24)
      return Residual(sample: sign / sigma, reference: -sign / sigma)
    }
  }

  /// The first sample of a trajectory that starts from an image: `reference * a + noise * b`.
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

    /// The start of a flow, `(1 - sigma) * data + sigma * noise`.
    static func flow(sigma: Double) -> Start { Start(reference: 1 - sigma, noise: sigma) }

    /// The start of a diffusion model, `sqrt(alpha) * data + sqrt(1 - alpha) * noise`.
    static func diffusion(alpha: Double) -> Start {
      Start(reference: alpha.squareRoot(), noise: (1 - alpha).squareRoot())
    }
  }
}
