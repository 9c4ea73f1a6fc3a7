/// One picture on its way from noise to data.
public struct Trajectory<Conditioning: Sendable>: Sendable {
  /// The admitter's name for it.
  public let id: Int
  /// The steps it takes.
  public let plan: StepPlan
  /// How its prompt steers it.
  public let guidance: Guidance
  /// Where it is: the state being integrated.
  public private(set) var sample: Latents
  /// The index of the plan's row that it takes next.
  public private(set) var stage = 0

  /// Where the last step's output leads to: the clean latents as they are expected so far, in
  /// trajectories that keep it.
  public private(set) var estimate: Latents?

  /// The noise that it began with, where the estimate is worked out with it.
  private let firstNoise: Latents?
  private let prompted: Conditioning
  private let unprompted: Conditioning?
  private var residual: ResidualGuidance?
  private var noise: GaussianNoise
  private var output: Latents
  private var previousOutput: Latents

  /// Starts a trajectory.
  ///
  /// - Parameters:
  ///   - id: a name of the caller's choice.
  ///   - plan: the steps.
  ///   - guidance: how the prompt steers.
  ///   - prompted: the conditioning of the prompt.
  ///   - unprompted: the conditioning of the empty or the negative prompt; `full` and
  ///     `onetimeNegative` guidance need it.
  ///   - reference: the clean latents of the picture that it starts from, with as much noise
  ///     mixed in as the plan says, and that `selfNegative` guidance leads away from; without one
  ///     it starts from noise alone.
  ///   - noise: the generator; the first draw is the first sample, the later ones are for plans
  ///     that draw in between.
  ///   - shape: one sample's shape.
  ///   - keepsEstimate: whether the expected clean latents are worked out after each step.
  /// - Precondition: guidance comes with what it reads.
  public init(
    id: Int, plan: StepPlan, guidance: Guidance = .none, prompted: Conditioning,
    unprompted: Conditioning? = nil, reference: Latents? = nil, noise: GaussianNoise, shape: Shape,
    keepsEstimate: Bool = false
  ) {
    precondition(
      !guidance.readsUnprompted || unprompted != nil, "\(guidance) needs an unprompted side")
    precondition(!guidance.needsReference || reference != nil, "\(guidance) needs a reference")
    self.id = id
    self.plan = plan
    self.guidance = guidance
    self.prompted = prompted
    self.unprompted = unprompted
    self.noise = noise
    var sample = self.noise.latents(shape: shape)
    firstNoise = keepsEstimate ? sample : nil
    switch guidance {
    case .selfNegative: residual = ResidualGuidance(reference: reference, noise: sample)
    case .onetimeNegative: residual = ResidualGuidance(reference: nil, noise: sample)
    case .none, .full, .distilled: residual = nil
    }
    if let reference {
      sample.scale(by: Float(plan.start.noise))
      sample.add(reference, times: Float(plan.start.reference))
    } else {
      sample.scale(by: plan.initialNoiseScale)
    }
    self.sample = sample
    output = Latents(zeros: shape)
    previousOutput = plan.remembersOutput ? output : Latents(zeros: [0])
  }

  /// Whether every row of the plan has been taken.
  public var isFinished: Bool { stage == plan.rows.count }

  /// The rows that its next step evaluates.
  public var rowCount: Int { isFinished ? 0 : guidance.rowCount(atStage: stage) }

  func load(into field: inout some VelocityField<Conditioning>, firstRow: Int) {
    let timestep = plan.rows[stage].timestep
    if let unprompted, rowCount == 2 {
      field.load(
        row: firstRow, sample: sample.scalars.span, timestep: timestep, conditioning: unprompted)
    }
    field.load(
      row: firstRow + rowCount - 1, sample: sample.scalars.span, timestep: timestep,
      conditioning: prompted)
  }

  mutating func step(reading field: borrowing some VelocityField<Conditioning>, firstRow: Int) {
    field.withOutput(row: firstRow) { output.copy(from: $0) }
    switch guidance {
    case .none, .distilled: break
    case .full(let scale):
      field.withOutput(row: firstRow + 1) { output.extrapolate(towards: $0, scale: scale) }
    case .onetimeNegative(let scale, let delta):
      if stage == 0 {
        residual = residual?.withReference(from: output, at: sample, plan.rows[0].residual)
        field.withOutput(row: firstRow + 1) { output.copy(from: $0) }
      }
      guideByResidual(scale: scale, delta: delta)
    case .selfNegative(let scale, let delta): guideByResidual(scale: scale, delta: delta)
    }
    if let firstNoise {
      estimate = plan.rows[stage].residual.reference(
        of: output, at: sample, noise: firstNoise)
    }
    let step = plan.steps[stage]
    sample.advance(by: step, along: output)
    if step.previousOutput != 0 { sample.add(previousOutput, times: step.previousOutput) }
    if step.noise != 0 {
      let drawn = noise.latents(shape: sample.shape)
      sample.add(drawn, times: step.noise)
    }
    if plan.remembersOutput { swap(&output, &previousOutput) }
    stage += 1
  }

  private mutating func guideByResidual(scale: Float, delta: Float) {
    residual?.guide(
      &output, at: sample, plan.rows[stage].residual, scale: scale, delta: delta)
  }
}
