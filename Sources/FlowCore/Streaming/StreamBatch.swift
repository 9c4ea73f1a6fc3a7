/// The trajectories in flight, each at its own stage of its own plan.
///
/// Each tick gathers a row from every trajectory (two if guidance needs two, or the number of
/// evaluations in the row of its plan), evaluates the field once, and advances every trajectory by
/// its own step. This is the velocity field batching of StreamFlow (Fang et al., 2025,
/// arXiv:2511.22009), for any mix of plans, guidance, prompts and ages. Rows are independent, so a
/// trajectory ends exactly where it would have ended alone. A batch starts empty; every admitted
/// trajectory is retired, in order of admission among those that finish together. A tick may leave
/// some trajectories out, which stay where they are.
public struct StreamBatch<Conditioning: Sendable>: Sendable {
  /// The maximum number of rows in flight.
  public let rowCapacity: Int
  /// The rows in flight, all of which the next tick evaluates unless it leaves some out.
  public private(set) var rowCount = 0
  /// The maximum number of rows of a later tick, by which admission is decided.
  ///
  /// More than ``rowCount`` if a plan takes more rows later on.
  public private(set) var reservedRowCount = 0
  /// The number of ticks so far.
  public private(set) var tickCount = 0

  private var finishedCount = 0
  private var trajectories: [Trajectory<Conditioning>] = []

  /// Creates an empty batch.
  ///
  /// - Precondition: the capacity is positive.
  public init(rowCapacity: Int) {
    precondition(rowCapacity > 0, "a batch needs room for a row, got \(rowCapacity)")
    self.rowCapacity = rowCapacity
    trajectories.reserveCapacity(rowCapacity)
  }

  /// Whether nothing is in flight.
  public var isEmpty: Bool { trajectories.isEmpty }

  /// The number of trajectories in flight.
  public var count: Int { trajectories.count }

  /// Whether a trajectory with this guidance can be admitted before the next tick.
  ///
  /// - Parameters:
  ///   - guidance: the guidance of the trajectory.
  ///   - plan: its plan; nil for a plan whose rows are guided.
  public func hasRoom(for guidance: Guidance, plan: StepPlan? = nil) -> Bool {
    hasRoom(rowCount: plan?.peakRowCount(guidance: guidance) ?? guidance.rowsPerStep)
  }

  /// Whether a trajectory can be admitted before the next tick.
  public func hasRoom(for trajectory: Trajectory<Conditioning>) -> Bool {
    hasRoom(rowCount: trajectory.peakRowCount)
  }

  private func hasRoom(rowCount: Int) -> Bool { reservedRowCount + rowCount <= rowCapacity }

  /// Admits a trajectory; the next tick advances it.
  ///
  /// - Precondition: there is room for its rows.
  public mutating func admit(_ trajectory: Trajectory<Conditioning>) {
    precondition(
      hasRoom(for: trajectory),
      "\(reservedRowCount) of \(rowCapacity) rows are taken; \(trajectory.peakRowCount) more do "
        + "not fit")
    rowCount += trajectory.rowCount
    reservedRowCount += trajectory.peakRowCount
    trajectories.append(trajectory)
  }

  /// Evaluates the field once and advances every trajectory by its own step.
  ///
  /// If the field fails, no trajectory has moved, and the tick can be repeated. Retire finished
  /// trajectories before the next tick.
  ///
  /// - Parameters:
  ///   - field: the velocity field.
  ///   - isWaiting: whether a trajectory is left out of this tick, by its identifier; called up to
  ///     three times, with the same result each time.
  /// - Precondition: nothing in flight has finished, and the field has room for the rows.
  public mutating func advance<Field: VelocityField<Conditioning>>(
    along field: inout Field, leavingOut isWaiting: (_ id: Int) -> Bool = { _ in false }
  ) throws(Field.Failure) {
    precondition(finishedCount == 0, "retire what has finished before the next tick")
    var rows = 0
    for index in trajectories.indices where !isWaiting(trajectories[index].id) {
      rows += trajectories[index].rowCount
    }
    guard rows > 0 else { return }
    precondition(rows <= field.rowCapacity, "the field takes \(field.rowCapacity) rows")
    try field.begin(rowCount: rows)
    var row = 0
    for index in trajectories.indices where !isWaiting(trajectories[index].id) {
      trajectories[index].load(into: &field, firstRow: row)
      row += trajectories[index].rowCount
    }
    try field.run()
    row = 0
    for index in trajectories.indices where !isWaiting(trajectories[index].id) {
      let (count, peak) = (trajectories[index].rowCount, trajectories[index].peakRowCount)
      trajectories[index].step(reading: field, firstRow: row)
      row += count
      // Some guidance takes fewer rows later, and some plans fewer or more.
      rowCount += trajectories[index].rowCount - count
      reservedRowCount += trajectories[index].peakRowCount - peak
      if trajectories[index].isFinished { finishedCount += 1 }
    }
    tickCount += 1
  }

  /// The trajectories in flight, in the order of their admission.
  public var inFlight: some RandomAccessCollection<Trajectory<Conditioning>> { trajectories }

  /// Removes and returns finished trajectories, in order of admission.
  public mutating func retire() -> [Trajectory<Conditioning>] {
    // Counted as they finish: searching for them here would allocate at every tick.
    guard finishedCount > 0 else { return [] }
    finishedCount = 0
    let retired = trajectories.filter(\.isFinished)
    trajectories.removeAll(where: \.isFinished)
    return retired
  }

  /// Removes the trajectories of an identifier, finished or not: a cancelled request.
  public mutating func remove(id: Int) {
    finishedCount -= trajectories.count { $0.id == id && $0.isFinished }
    trajectories.removeAll { $0.id == id }
    rowCount = trajectories.reduce(0) { $0 + $1.rowCount }
    reservedRowCount = trajectories.reduce(0) { $0 + $1.peakRowCount }
  }
}
