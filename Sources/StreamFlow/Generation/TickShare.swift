internal import FlowModels

/// The trajectories in flight that a tick advances, if it does not advance all.
///
/// A stream is short if all of its remaining images are in flight. Long streams do not hold up
/// short ones: while both are in flight, a tick advances all rows of the short ones and one image
/// of the others, since a tick of few rows is fast. It never advances none of either, so that
/// neither starves.
enum TickShare {
  /// One trajectory.
  struct Flight: Equatable {
    /// Its identifier in the batch.
    let id: Int
    /// The rows of its next step.
    let rowCount: Int
    /// Whether its stream is short.
    let isBrief: Bool
  }

  /// The identifiers of those that wait.
  ///
  /// - Parameters:
  ///   - flights: the trajectories in flight, oldest first.
  ///   - rowCapacity: the maximum number of rows of a tick.
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
    // If a tick has room for only one of either kind, the oldest advances.
    if chosen.isEmpty, let first = flights.first { chosen.insert(first.id) }
    return Set(flights.map(\.id)).subtracting(chosen)
  }
}
