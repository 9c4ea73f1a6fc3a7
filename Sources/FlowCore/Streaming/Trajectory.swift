/// One image on its way from noise to data, or back.
public struct Trajectory<Conditioning: Sendable>: Sendable {
  /// The admitter's name for it.
  public let id: Int
  /// The steps it takes.
  public let plan: StepPlan
  /// How its prompt steers it.
  public let guidance: Guidance
  /// Where it is: the state being integrated.
  public internal(set) var sample: Latents
  /// The index of the plan's row that it takes next.
  public internal(set) var stage = 0

  /// Where the last step's output leads to: the clean latents as they are expected so far, in
  /// trajectories that keep it.
  public internal(set) var estimate: Latents?

  /// The noise that it began with, where the estimate is worked out with it or the plan reads it.
  let firstNoise: Latents?
  /// The clean latents of the input image, where the plan reads them.
  let source: Latents?
  /// Where the image is repainted, 0 to 1, one element for each latent pixel; nil for everywhere.
  let mask: Latents?
  let prompted: Conditioning
  let unprompted: Conditioning?
  let sourcePrompted: Conditioning?
  let keepsEstimate: Bool
  var residual: ResidualGuidance?
  var noise: GaussianNoise
  /// The noise that the evaluations of the next row read, once it is drawn: a tick that fails is
  /// tried again with the same.
  var drawn: Latents?
  /// What an evaluation reads that is not the sample as it is.
  var input: Latents
  var output: Latents
  var memory: Latents

  /// Starts a trajectory.
  ///
  /// - Parameters:
  ///   - id: a name of the caller's choice.
  ///   - plan: the steps.
  ///   - guidance: how the prompt steers.
  ///   - prompted: the conditioning of the prompt.
  ///   - unprompted: the conditioning of the empty or the negative prompt; `full` and
  ///     `onetimeNegative` guidance need it.
  ///   - sourcePrompted: the conditioning of the prompt that describes the input image, for plans
  ///     that read it.
  ///   - reference: the clean latents of the input image: what it starts from, with as much noise
  ///     mixed in as the plan says, what `selfNegative` guidance leads away from, and the source of
  ///     plans that read one; without it the trajectory starts from noise alone.
  ///   - mask: where the image is repainted: 1, where it stays as the reference: 0, or between;
  ///     `[1, height, width]`. After each step the rest is the reference again, with the noise that
  ///     the trajectory began with as the next step expects it.
  ///   - initial: the first sample, such as where an inversion ended, instead of what the plan
  ///     starts from.
  ///   - noise: the generator; the first draw is the first sample, the later ones are for plans
  ///     that draw in between.
  ///   - shape: one sample's shape.
  ///   - keepsEstimate: whether the expected clean latents are worked out after each step.
  /// - Precondition: guidance and plan come with what they read, and `onetimeNegative` guidance
  ///   with a plan whose first row is guided.
  public init(
    id: Int, plan: StepPlan, guidance: Guidance = .none, prompted: Conditioning,
    unprompted: Conditioning? = nil, sourcePrompted: Conditioning? = nil,
    reference: Latents? = nil, mask: Latents? = nil, initial: Latents? = nil,
    noise: GaussianNoise, shape: Shape, keepsEstimate: Bool = false
  ) {
    precondition(
      !guidance.readsUnprompted || unprompted != nil, "\(guidance) needs an unprompted side")
    precondition(!guidance.needsReference || reference != nil, "\(guidance) needs a reference")
    precondition(
      !plan.roles.contains(.unconditional) || unprompted != nil,
      "the plan reads an unconditional conditioning")
    precondition(
      !plan.roles.contains(.source) || sourcePrompted != nil,
      "the plan reads the conditioning of the input image")
    precondition(!plan.readsSource || reference != nil, "the plan reads the input image")
    if let mask {
      precondition(plan.takesMask && reference != nil, "a mask needs a reference and a plan for it")
      precondition(
        mask.scalars.count * shape[0] == shape.elementCount, "a mask of \(mask.shape) for \(shape)")
    }
    if case .onetimeNegative = guidance {
      precondition(plan.steps[0].evaluations.isEmpty, "\(guidance) needs a guided first row")
    }
    self.id = id
    self.plan = plan
    self.guidance = guidance
    self.prompted = prompted
    self.unprompted = unprompted
    self.sourcePrompted = sourcePrompted
    self.keepsEstimate = keepsEstimate
    source = plan.readsSource || mask != nil ? reference : nil
    self.mask = mask
    self.noise = noise
    var sample = self.noise.latents(shape: shape)
    firstNoise = keepsEstimate || plan.readsFirstNoise || mask != nil ? sample : nil
    switch guidance {
    case .selfNegative: residual = ResidualGuidance(reference: reference, noise: sample)
    case .onetimeNegative: residual = ResidualGuidance(reference: nil, noise: sample)
    case .none, .full, .distilled: residual = nil
    }
    if let initial {
      precondition(initial.shape == shape, "the first sample is \(initial.shape), not \(shape)")
      sample = initial
    } else if let reference {
      sample.scale(by: Float(plan.start.noise))
      sample.add(reference, times: Float(plan.start.reference))
    } else {
      sample.scale(by: plan.initialNoiseScale)
    }
    self.sample = sample
    output = Latents(zeros: shape)
    memory = Latents(zeros: plan.usesMemory ? shape : [0])
    input = Latents(zeros: plan.mixesInputs ? shape : [0])
  }

  /// Whether every row of the plan has been taken.
  public var isFinished: Bool { stage == plan.rows.count }

  /// The batch rows that its next step takes.
  public var rowCount: Int {
    isFinished ? 0 : plan.rowCount(atStage: stage, guidance: guidance)
  }

  /// The most batch rows that its next step or a later one takes.
  public var peakRowCount: Int {
    isFinished ? 0 : plan.peakRowCount(guidance: guidance, fromStage: stage)
  }
}
