/// One image being sampled from noise to data, or inverted.
public struct Trajectory<Conditioning: Sendable>: Sendable {
  /// The admitter's name for it.
  public private(set) var id: Int
  /// The steps it takes.
  public let plan: StepPlan
  /// Its guidance.
  public let guidance: Guidance
  /// The current sample.
  public internal(set) var sample: Latents
  /// The index of its next row of the plan.
  public internal(set) var stage = 0

  /// The end point of the last step's output: the expected clean latents, for trajectories that
  /// keep it.
  public internal(set) var estimate: Latents?

  /// The noise that it began with, if the estimate or the plan needs it.
  let firstNoise: Latents?
  /// The clean latents of the input image, if the plan needs them.
  let source: Latents?
  /// Where the image is repainted, 0 to 1, one element for each latent pixel; nil for everywhere.
  let mask: Latents?
  var prompted: Conditioning
  var unprompted: Conditioning?
  var sourcePrompted: Conditioning?
  var skipping: Conditioning?
  /// The conditionings of later stages, in order.
  var changes: ArraySlice<ConditioningChange<Conditioning>> = []
  let keepsEstimate: Bool
  var residual: ResidualGuidance?
  var noise: GaussianNoise
  /// The noise that the evaluations of the next row read, once it is drawn: a tick that fails is
  /// repeated with the same noise.
  var drawn: Latents?
  /// An evaluation's input, if it is not the unchanged sample.
  var input: Latents
  var output: Latents
  var memory: Latents

  /// Creates a trajectory.
  ///
  /// - Parameters:
  ///   - id: an identifier of the caller's choice.
  ///   - plan: the plan.
  ///   - guidance: the guidance.
  ///   - prompted: the conditioning of the prompt.
  ///   - unprompted: the conditioning of the negative or empty prompt; `full` and `onetimeNegative`
  ///     guidance need it.
  ///   - sourcePrompted: the conditioning of the prompt that describes the input image, for plans
  ///     that read it.
  ///   - skipping: the conditioning of the prompt for the network without some of its layers, for plans
  ///     that read it.
  ///   - reference: the clean latents of the input image: the start, with as much noise mixed in as
  ///     the plan says; the unconditional prediction of `selfNegative` guidance; and the source of
  ///     plans that read one. Without it the trajectory starts from pure noise.
  ///   - mask: where the image is repainted: 1 to repaint, 0 to preserve the reference, or between;
  ///     `[1, height, width]`. After each step the preserved part is set to the reference, with the
  ///     initial noise at the level of the next step.
  ///   - initial: the first sample, such as the end of an inversion, instead of the plan's start.
  ///   - firstNoise: the first draw, if it is not the generator's own: a part of a larger image's.
  ///   - noise: the generator; the first draw is the first sample, later ones are for plans that
  ///     add fresh noise.
  ///   - laterNoise: the generator of the later draws, if another draw came after the first sample;
  ///     nil for the same one.
  ///   - shape: one sample's shape.
  ///   - keepsEstimate: whether the expected clean latents are computed after each step.
  /// - Precondition: all inputs of guidance and plan are given, and `onetimeNegative` guidance has
  ///   a plan whose first row is guided.
  public init(
    id: Int, plan: StepPlan, guidance: Guidance = .none, prompted: Conditioning,
    unprompted: Conditioning? = nil, sourcePrompted: Conditioning? = nil,
    skipping: Conditioning? = nil, reference: Latents? = nil, mask: Latents? = nil,
    initial: Latents? = nil, firstNoise: Latents? = nil, noise: GaussianNoise,
    laterNoise: GaussianNoise? = nil, shape: Shape,
    keepsEstimate: Bool = false
  ) {
    precondition(
      !guidance.readsUnprompted || unprompted != nil,
      "\(guidance) needs an unconditional conditioning")
    precondition(!guidance.needsReference || reference != nil, "\(guidance) needs a reference")
    precondition(
      !plan.roles.contains(.unconditional) || unprompted != nil,
      "the plan reads an unconditional conditioning")
    precondition(
      !plan.roles.contains(.source) || sourcePrompted != nil,
      "the plan reads the conditioning of the input image")
    precondition(
      !plan.roles.contains(.skipping) || skipping != nil,
      "the plan reads the conditioning of skipped layers")
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
    self.skipping = skipping
    self.keepsEstimate = keepsEstimate
    source = plan.readsSource || mask != nil ? reference : nil
    self.mask = mask
    self.noise = noise
    var sample: Latents
    if let firstNoise {
      precondition(firstNoise.shape == shape, "noise of \(firstNoise.shape) for \(shape)")
      sample = firstNoise
    } else {
      sample = self.noise.latents(shape: shape)
    }
    if let laterNoise { self.noise = laterNoise }
    self.firstNoise = keepsEstimate || plan.readsFirstNoise || mask != nil ? sample : nil
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

  /// The same trajectory under another name, for another batch to go on with.
  public func named(_ id: Int) -> Trajectory {
    var trajectory = self
    trajectory.id = id
    return trajectory
  }

  /// Whether every row of the plan has been taken.
  public var isFinished: Bool { stage == plan.rows.count }

  /// The number of batch rows of its next step.
  public var rowCount: Int {
    isFinished ? 0 : plan.rowCount(atStage: stage, guidance: guidance)
  }

  /// The maximum number of batch rows of its next or a later step.
  public var peakRowCount: Int {
    isFinished ? 0 : plan.peakRowCount(guidance: guidance, fromStage: stage)
  }
}

/// Other conditionings from a stage of a trajectory on.
public struct ConditioningChange<Conditioning: Sendable>: Sendable {
  /// The index of the first plan row that reads them.
  public let stage: Int
  /// The conditioning of the prompt.
  public let prompted: Conditioning
  /// The conditioning of the negative or empty prompt, where there was one.
  public let unprompted: Conditioning?
  /// The conditioning of the prompt that describes the input image, where there was one.
  public let sourcePrompted: Conditioning?
  /// The conditioning of the prompt for the network without some of its layers, where there was one.
  public let skipping: Conditioning?

  /// Creates a change.
  public init(
    stage: Int, prompted: Conditioning, unprompted: Conditioning?, sourcePrompted: Conditioning?,
    skipping: Conditioning? = nil
  ) {
    self.stage = stage
    self.prompted = prompted
    self.unprompted = unprompted
    self.sourcePrompted = sourcePrompted
    self.skipping = skipping
  }
}

extension Trajectory {
  /// Has it read other conditionings from some stages on.
  ///
  /// - Parameter changes: what changes, with ascending stages of 1 or more.
  public mutating func change(_ changes: [ConditioningChange<Conditioning>]) {
    precondition(
      changes.allSatisfy { ($0.unprompted == nil) == (unprompted == nil) }
        && zip(changes, changes.dropFirst()).allSatisfy { $0.stage < $1.stage },
      "changes of conditionings ascend, and have what the first has")
    self.changes = changes[...]
  }
}
