/// The compiled form of a schedule, a prediction type and a solver: a table of affine steps.
///
/// Every row evaluates the network at its own timestep, and updates the sample: `combined = sum of
/// w * f(alpha * sample + beta * source + gamma * drawn noise, conditioning)`, `next = a * sample +
/// b * combined + c * memory + d * fresh noise + e * source + g * first noise`, `memory = p *
/// memory + q * combined`. For a row without evaluations of its own, `combined` is the guided
/// output of the sample. The coefficients depend on nothing but the row, so trajectories of
/// different schedules, solvers and step counts advance together in one batch. Coefficients are
/// computed in `Double` and rounded once.
public struct StepPlan: Equatable, Sendable {
  /// The rows in order.
  public let rows: [Row]
  /// The requested number of steps; some solvers take more rows than steps.
  public let stepCount: Int
  /// The factor of unit noise in the first sample, if there is no input image.
  public let initialNoiseScale: Float
  /// The first sample if there is an input image.
  public var start: Start

  /// Whether the plan supports masks.
  public let takesMask: Bool
  let usesMemory: Bool
  let readsSource: Bool
  let readsFirstNoise: Bool
  /// Whether an evaluation reads anything but the unchanged sample.
  let mixesInputs: Bool
  let roles: Set<Evaluation.Role>
  let steps: [AffineStep]
  /// The evaluations of all rows, row by row.
  let evaluations: [NetworkInput]

  /// Creates a plan from its rows.
  ///
  /// - Parameters:
  ///   - rows: the rows in order.
  ///   - stepCount: the requested number of steps.
  ///   - initialNoiseScale: the factor of unit noise, if there is no input image.
  ///   - start: the first sample if there is an input image.
  /// - Precondition: there is a row, and the first row reads no memory.
  public init(
    rows: [Row], stepCount: Int, initialNoiseScale: Float = 1,
    start: Start = Start(reference: 0, noise: 1)
  ) {
    precondition(!rows.isEmpty, "a plan needs a row")
    precondition(rows[0].memory == 0, "the first row has no output before it")
    self.rows = rows
    self.stepCount = stepCount
    self.initialNoiseScale = initialNoiseScale
    self.start = start
    let own = rows.flatMap(\.evaluations)
    takesMask = rows.allSatisfy { $0.level != nil }
    usesMemory = rows.contains { $0.memory != 0 }
    readsSource = rows.contains { $0.source != 0 } || own.contains { $0.source != 0 }
    readsFirstNoise = rows.contains { $0.firstNoise != 0 }
    mixesInputs = own.contains { !$0.readsSampleAsItIs }
    roles = Set(own.map(\.role))
    evaluations = own.map(NetworkInput.init)
    var steps: [AffineStep] = []
    var first = 0
    for row in rows {
      steps.append(AffineStep(row, evaluations: first..<first + row.evaluations.count))
      first += row.evaluations.count
    }
    // From the last row back: the batch rows that the remaining rows need.
    var most = 0
    var guided: Int?
    for index in rows.indices.reversed() {
      most = max(most, rows[index].evaluations.count)
      if rows[index].evaluations.isEmpty { guided = index }
      steps[index].mostEvaluations = most
      steps[index].nextGuided = guided
      // After the last row the sample is clean.
      let level = index + 1 < rows.count ? rows[index + 1].level ?? .clean : .clean
      steps[index].heldSource = Float(level.reference)
      steps[index].heldNoise = Float(level.noise)
    }
    self.steps = steps
  }

  /// Whether a row's own evaluations read a conditioning.
  public func reads(_ role: Evaluation.Role) -> Bool { roles.contains(role) }

  /// This plan followed by another: an inversion and the sampling after it.
  ///
  /// - Precondition: the first row of the other plan reads no memory, as in any plan.
  public func followed(by other: StepPlan) -> StepPlan {
    StepPlan(
      rows: rows + other.rows, stepCount: stepCount + other.stepCount,
      initialNoiseScale: initialNoiseScale, start: start)
  }

  /// The number of batch rows of a row of the plan.
  ///
  /// - Parameters:
  ///   - stage: the index of the plan's row.
  ///   - guidance: the guidance of the trajectory, for rows without evaluations of their own.
  public func rowCount(atStage stage: Int, guidance: Guidance) -> Int {
    let count = steps[stage].evaluations.count
    return count > 0 ? count : guidance.rowCount(atStage: stage)
  }

  /// The number of batch rows of all rows of the plan together.
  ///
  /// - Parameter guidance: the guidance of the trajectory, for rows without evaluations of their own.
  public func rowCount(guidance: Guidance) -> Int {
    rows.indices.reduce(0) { $0 + rowCount(atStage: $1, guidance: guidance) }
  }

  /// The maximum number of batch rows of a row of the plan, from a stage on.
  ///
  /// - Parameters:
  ///   - guidance: the guidance of the trajectory, for rows without evaluations of their own.
  ///   - stage: the index of the first row.
  public func peakRowCount(guidance: Guidance, fromStage stage: Int = 0) -> Int {
    // Guidance never takes more rows later than earlier, so that its next row has the maximum.
    let guided = steps[stage].nextGuided.map { guidance.rowCount(atStage: $0) } ?? 0
    return max(steps[stage].mostEvaluations, guided)
  }
}
