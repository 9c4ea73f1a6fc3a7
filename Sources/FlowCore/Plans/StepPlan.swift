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

    /// Creates a row; what is left out is 1 for the sample and 0 for the rest.
    public init(
      timestep: Float, sample: Double = 1, output: Double, previousOutput: Double = 0,
      noise: Double = 0
    ) {
      self.timestep = timestep
      self.sample = sample
      self.output = output
      self.previousOutput = previousOutput
      self.noise = noise
    }

    var affineStep: AffineStep {
      AffineStep(
        sample: Float(sample), output: Float(output), previousOutput: Float(previousOutput),
        noise: Float(noise))
    }
  }

  /// The rows in the order they are taken.
  public let rows: [Row]
  /// The number of steps that a user asked for; Heun takes more rows than steps.
  public let stepCount: Int
  /// What unit noise is multiplied by to make the first sample.
  public let initialNoiseScale: Float

  let remembersOutput: Bool
  let drawsNoise: Bool
  let steps: [AffineStep]

  /// Creates a plan from its rows.
  ///
  /// - Precondition: there is a row, and the first row asks for no previous output.
  public init(rows: [Row], stepCount: Int, initialNoiseScale: Float = 1) {
    precondition(!rows.isEmpty, "a plan needs a row")
    precondition(rows[0].previousOutput == 0, "the first row has no output before it")
    self.rows = rows
    self.stepCount = stepCount
    self.initialNoiseScale = initialNoiseScale
    remembersOutput = rows.contains { $0.previousOutput != 0 }
    drawsNoise = rows.contains { $0.noise != 0 }
    steps = rows.map(\.affineStep)
  }
}
