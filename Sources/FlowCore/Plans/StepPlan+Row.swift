extension StepPlan {
  /// The network evaluation of one tick, and the update that follows it.
  ///
  /// `next = sample * a + combined * b + memory * c + fresh noise * d + source * e + first noise * g`,
  /// then `memory = memory * p + combined * q`.
  public struct Row: Equatable, Sendable {
    /// The timestep that the network reads, usually `1000 * sigma`.
    public var timestep: Float
    /// a, the coefficient of the sample.
    public var sample: Double
    /// b, the coefficient of the combined output at this row.
    public var output: Double
    /// c, the coefficient of the memory; 0 in the first row.
    ///
    /// With p = 0 and q = 1, the memory is the combined output of the previous row.
    public var memory: Double
    /// d, the coefficient of fresh noise, drawn for this row after its evaluations.
    public var noise: Double
    /// e, the coefficient of the source: the clean latents of the input image.
    public var source: Double
    /// g, the coefficient of the noise that the trajectory began with.
    public var firstNoise: Double
    /// p, the factor of the memory.
    public var memoryDecay: Double
    /// q, the coefficient with which the combined output enters the memory.
    public var memoryGain: Double
    /// The network evaluations whose weighted sum is the combined output.
    ///
    /// Empty for one evaluation of the sample, with the trajectory's guidance.
    public var evaluations: [Evaluation]
    /// The output that residual guidance uses as the unconditional prediction.
    public var residual: Residual
    /// The coefficients of data and noise in the sample that this row reads, by which the unmasked
    /// part of an image follows its source; nil if a plan supports no mask.
    public var level: Start?

    /// Creates a row; by default sample and q are 1, and all others 0.
    public init(
      timestep: Float, sample: Double = 1, output: Double, memory: Double = 0,
      noise: Double = 0, source: Double = 0, firstNoise: Double = 0, memoryDecay: Double = 0,
      memoryGain: Double = 1, evaluations: [Evaluation] = [], residual: Residual,
      level: Start? = nil
    ) {
      self.timestep = timestep
      self.sample = sample
      self.output = output
      self.memory = memory
      self.noise = noise
      self.source = source
      self.firstNoise = firstNoise
      self.memoryDecay = memoryDecay
      self.memoryGain = memoryGain
      self.evaluations = evaluations
      self.residual = residual
      self.level = level
    }
  }

  /// One of several network evaluations that a row combines.
  ///
  /// `weight * f(sample * alpha + source * beta + drawn noise * gamma, conditioning)`.
  public struct Evaluation: Equatable, Sendable {
    /// The conditioning that an evaluation reads.
    public enum Role: Sendable, CaseIterable {
      /// The conditioning of the prompt.
      case conditional
      /// The conditioning of the negative or empty prompt.
      case unconditional
      /// The conditioning of the prompt that describes the input image.
      case source
      /// The conditioning of the prompt, for the network without some of its layers.
      case skipping
    }

    /// The conditioning.
    public var role: Role
    /// The coefficient of the output in the combined output.
    public var weight: Double
    /// alpha, the coefficient of the sample.
    public var sample: Double
    /// beta, the coefficient of the source: the clean latents of the input image.
    public var source: Double
    /// gamma, the coefficient of noise that is drawn for the row: the same for all its evaluations.
    public var noise: Double

    /// Creates an evaluation; by default sample is 1, and all others 0.
    public init(
      _ role: Role, weight: Double = 1, sample: Double = 1, source: Double = 0, noise: Double = 0
    ) {
      self.role = role
      self.weight = weight
      self.sample = sample
      self.source = source
      self.noise = noise
    }

    var readsSampleAsItIs: Bool { sample == 1 && source == 0 && noise == 0 }
  }
}
