internal import FlowModels

/// Which of what is in flight a tick advances, where not everything does.
///
/// A stream is brief when all that it still has to make is in flight. Brief streams are not held up
/// by long ones: while both fly, a tick advances all of the brief ones' rows and one image of the
/// others', since a tick of few rows is quick, and never none, so that neither starves.
enum TickShare {
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
    let oldestLong = flights.first { !$0.isBrief }
    let hasBrief = flights.contains(where: \.isBrief)
    var chosen: Set<Int> = []
    var rows = 0
    func choose(_ isBrief: Bool, upTo limit: Int) {
      for flight in flights where flight.isBrief == isBrief && rows + flight.rowCount <= limit {
        rows += flight.rowCount
        chosen.insert(flight.id)
      }
    }
    let kept = oldestLong?.rowCount ?? 0
    choose(true, upTo: max(rowCapacity - kept, 1))
    choose(false, upTo: hasBrief ? min(rows + kept, rowCapacity) : rowCapacity)
    // Where a tick has room for no more than one of either kind, the oldest goes.
    if chosen.isEmpty, let first = flights.first { chosen.insert(first.id) }
    return Set(flights.map(\.id)).subtracting(chosen)
  }
}
