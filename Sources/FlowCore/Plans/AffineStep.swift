/// A row of a plan as ticks read it: its coefficients in the precision of the samples.
struct AffineStep: Equatable, Sendable {
  let timestep: Float
  let sample: Float
  let output: Float
  let memory: Float
  let noise: Float
  let source: Float
  let firstNoise: Float
  let memoryDecay: Float
  let memoryGain: Float
  /// The indices of the row's own evaluations; empty for the guided one.
  let evaluations: Range<Int>
  /// Whether an evaluation reads noise that is drawn for the row.
  let drawsForInputs: Bool
  /// The maximum number of evaluations of a row from here on, among rows with their own
  /// evaluations.
  var mostEvaluations = 0
  /// The index of the first guided row from here on.
  var nextGuided: Int?
  /// The coefficient of the source in the unmasked part of the sample after this row.
  var heldSource: Float = 1
  /// The coefficient of the first noise in the unmasked part of the sample after this row.
  var heldNoise: Float = 0

  init(_ row: StepPlan.Row, evaluations: Range<Int>) {
    timestep = row.timestep
    sample = Float(row.sample)
    output = Float(row.output)
    memory = Float(row.memory)
    noise = Float(row.noise)
    source = Float(row.source)
    firstNoise = Float(row.firstNoise)
    memoryDecay = Float(row.memoryDecay)
    memoryGain = Float(row.memoryGain)
    self.evaluations = evaluations
    drawsForInputs = row.evaluations.contains { $0.noise != 0 }
  }

  /// Whether the update starts with anything but the unchanged sample.
  var mixesOutput: Bool { sample != 1 || output != 0 }
}

/// An evaluation as ticks read it: its coefficients in the precision of the samples.
struct NetworkInput: Equatable, Sendable {
  let role: StepPlan.Evaluation.Role
  let weight: Float
  let sample: Float
  let source: Float
  let noise: Float
  let readsSampleAsItIs: Bool

  init(_ evaluation: StepPlan.Evaluation) {
    role = evaluation.role
    weight = Float(evaluation.weight)
    sample = Float(evaluation.sample)
    source = Float(evaluation.source)
    noise = Float(evaluation.noise)
    readsSampleAsItIs = evaluation.readsSampleAsItIs
  }
}
