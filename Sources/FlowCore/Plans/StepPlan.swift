/// What a schedule, a prediction and a solver compile to: a table of affine steps.
///
/// Every row evaluates the network once, at its own timestep, and moves the sample:
/// `next = a * sample + b * output + c * previousOutput + d * noise`. The coefficients depend on
/// nothing but the row, so trajectories of different schedules, solvers and step counts advance
/// side by side in one batch. Coefficients are computed in `Double` and rounded once.
public struct StepPlan: Equatable, Sendable {
  /// One evaluation of the network and the move that follows it.
  public struct Row: Equatable, Sendable {
    /// The number that the network reads as time, usually `1000 * sigma`.
    public var timestep: Float
    /// a, the coefficient of the sample.
    public var sample: Double
    /// b, the coefficient of the network's output at this row.
    public var output: Double
    /// c, the coefficient of the network's output at the row before; 0 in the first row.
    public var previousOutput: Double
    /// d, the coefficient of fresh noise.
    public var noise: Double
    /// The output that residual guidance takes for the unprompted side.
    public var residual: Residual

    /// Creates a row; what is left out is 1 for the sample and 0 for the rest.
    public init(
      timestep: Float, sample: Double = 1, output: Double, previousOutput: Double = 0,
      noise: Double = 0, residual: Residual
    ) {
      self.timestep = timestep
      self.sample = sample
      self.output = output
      self.previousOutput = previousOutput
      self.noise = noise
      self.residual = residual
    }

    var affineStep: AffineStep {
      AffineStep(
        sample: Float(sample), output: Float(output), previousOutput: Float(previousOutput),
        noise: Float(noise))
    }
  }

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
      Residual(sample: sign / sigma, reference: -sign / sigma)
    }
  }

  /// What the first sample of a trajectory is that starts from a picture:
  /// `reference * a + noise * b`.
  public struct Start: Equatable, Sendable {
    /// The coefficient of the picture's clean latents.
    public var reference: Double
    /// The coefficient of unit noise.
    public var noise: Double

    /// Creates the start of a plan.
    public init(reference: Double, noise: Double) {
      self.reference = reference
      self.noise = noise
    }

    /// That of a flow, `(1 - sigma) * data + sigma * noise`.
    static func flow(sigma: Double) -> Start { Start(reference: 1 - sigma, noise: sigma) }

    /// That of a diffusion model, `sqrt(alpha) * data + sqrt(1 - alpha) * noise`.
    static func diffusion(alpha: Double) -> Start {
      Start(reference: alpha.squareRoot(), noise: (1 - alpha).squareRoot())
    }
  }

  /// The rows in the order they are taken.
  public let rows: [Row]
  /// The number of steps that a user asked for; Heun takes more rows than steps.
  public let stepCount: Int
  /// What unit noise is multiplied by to make the first sample, where no picture is given.
  public let initialNoiseScale: Float
  /// The first sample where a picture is given.
  public let start: Start

  let remembersOutput: Bool
  let drawsNoise: Bool
  let steps: [AffineStep]

  /// Creates a plan from its rows.
  ///
  /// - Precondition: there is a row, and the first row asks for no previous output.
  public init(
    rows: [Row], stepCount: Int, initialNoiseScale: Float = 1,
    start: Start = Start(reference: 0, noise: 1)
  ) {
    precondition(!rows.isEmpty, "a plan needs a row")
    precondition(rows[0].previousOutput == 0, "the first row has no output before it")
    self.rows = rows
    self.stepCount = stepCount
    self.initialNoiseScale = initialNoiseScale
    self.start = start
    remembersOutput = rows.contains { $0.previousOutput != 0 }
    drawsNoise = rows.contains { $0.noise != 0 }
    steps = rows.map(\.affineStep)
  }
}
