/// Which of what is in flight a tick advances, where not everything does.
///
/// A stream is brief when all that it still has to make is in flight. Brief streams are not held up
/// by long ones: while both fly, a tick advances all of the brief ones' rows and few of the others',
/// since a tick of few rows is quick, and never none, so that neither starves.
enum TickShare {
  /// The rows that long streams have beside brief ones: a step of any guidance.
  static let longRows = 2

  /// One trajectory.
  struct Flight: Equatable {
    /// Its name in the batch.
    let id: Int
    /// The rows of its next step.
    let rowCount: Int
    /// Whether its stream is brief.
    let isBrief: Bool
  }

  /// Those that wait.
  ///
  /// - Parameters:
  ///   - flights: what is in flight, oldest first.
  ///   - rowCapacity: the most rows of a tick.
  static func waiting(of flights: [Flight], rowCapacity: Int) -> Set<Int> {
    let hasBrief = flights.contains(where: \.isBrief)
    let hasLong = flights.contains { !$0.isBrief }
    let most = hasBrief && hasLong ? max(rowCapacity - longRows, 1) : rowCapacity
    var chosen: Set<Int> = []
    var rows = 0
    func choose(_ isBrief: Bool, upTo limit: Int) {
      for flight in flights where flight.isBrief == isBrief && rows + flight.rowCount <= limit {
        rows += flight.rowCount
        chosen.insert(flight.id)
      }
    }
    choose(true, upTo: most)
    choose(false, upTo: hasBrief ? min(rows + longRows, rowCapacity) : rowCapacity)
    // Where a tick has room for no more than one of either kind, the oldest goes.
    if chosen.isEmpty, let first = flights.first { chosen.insert(first.id) }
    return Set(flights.map(\.id)).subtracting(chosen)
  }
}
