/// What a schedule, a prediction and a solver compile to: a table of affine steps.
///
/// Every row evaluates the network at its own timestep, and moves the sample:
/// `combined = sum of w * f(alpha * sample + beta * source + gamma * drawn noise, conditioning)`,
/// `next = a * sample + b * combined + c * memory + d * fresh noise + e * source + g * first noise`,
/// `memory = p * memory + q * combined`. A row without evaluations of its own takes the guided
/// output of the sample for `combined`. The coefficients depend on nothing but the row, so
/// trajectories of different schedules, solvers and step counts advance side by side in one batch.
/// Coefficients are computed in `Double` and rounded once.
public struct StepPlan: Equatable, Sendable {
  /// The rows in the order they are taken.
  public let rows: [Row]
  /// The number of steps that a user asked for; some solvers take more rows than steps.
  public let stepCount: Int
  /// What unit noise is multiplied by to make the first sample, where no image is given.
  public let initialNoiseScale: Float
  /// The first sample where an image is given.
  public var start: Start

  /// Whether a trajectory of the plan can hold a part of the image to its source.
  public let takesMask: Bool
  let usesMemory: Bool
  let readsSource: Bool
  let readsFirstNoise: Bool
  /// Whether an evaluation reads anything but the sample as it is.
  let mixesInputs: Bool
  let roles: Set<Evaluation.Role>
  let steps: [AffineStep]
  /// The evaluations of all rows, one row after another.
  let evaluations: [NetworkInput]

  /// Creates a plan from its rows.
  ///
  /// - Parameters:
  ///   - rows: the rows in the order they are taken.
  ///   - stepCount: the number of steps that a user asked for.
  ///   - initialNoiseScale: what unit noise is multiplied by, where no image is given.
  ///   - start: the first sample where an image is given.
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
    // From the last row back: what the rows from here on need of a batch.
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

  /// Whether a row evaluates the network under a conditioning, beside those of guidance.
  public func reads(_ role: Evaluation.Role) -> Bool { roles.contains(role) }

  /// The plan that goes on with another one where this one ends: an inversion and the way back.
  ///
  /// - Precondition: the first row of the other reads no memory, as that of any plan.
  public func followed(by other: StepPlan) -> StepPlan {
    StepPlan(
      rows: rows + other.rows, stepCount: stepCount + other.stepCount,
      initialNoiseScale: initialNoiseScale, start: start)
  }

  /// The batch rows that a row of the plan takes.
  ///
  /// - Parameters:
  ///   - stage: the index of the plan's row.
  ///   - guidance: the guidance of the trajectory, for rows without evaluations of their own.
  public func rowCount(atStage stage: Int, guidance: Guidance) -> Int {
    let count = steps[stage].evaluations.count
    return count > 0 ? count : guidance.rowCount(atStage: stage)
  }

  /// The batch rows that all rows of the plan take together.
  ///
  /// - Parameter guidance: the guidance of the trajectory, for rows without evaluations of their own.
  public func rowCount(guidance: Guidance) -> Int {
    rows.indices.reduce(0) { $0 + rowCount(atStage: $1, guidance: guidance) }
  }

  /// The most batch rows that a row of the plan takes, from a stage on.
  ///
  /// - Parameters:
  ///   - guidance: the guidance of the trajectory, for rows without evaluations of their own.
  ///   - stage: the index of the first row that is looked at.
  public func peakRowCount(guidance: Guidance, fromStage stage: Int = 0) -> Int {
    // Guidance takes no more rows later than earlier: its next row tells of all.
    let guided = steps[stage].nextGuided.map { guidance.rowCount(atStage: $0) } ?? 0
    return max(steps[stage].mostEvaluations, guided)
  }
}
