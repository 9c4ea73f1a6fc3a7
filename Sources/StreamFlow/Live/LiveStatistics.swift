internal import FlowModels

/// Counts and measurements of a live stream.
///
/// Every input is dropped, skipped, made, failed, cancelled, or still in progress.
public struct LiveStatistics: Sendable {
  /// The number of offered inputs.
  public internal(set) var offeredCount = 0
  /// Inputs that a later one replaced before their turn.
  public internal(set) var droppedCount = 0
  /// Inputs that the filter found similar to the previous one, or of which nothing changed.
  public internal(set) var skippedCount = 0
  /// Inputs that were made into an image.
  public internal(set) var madeCount = 0
  /// Made inputs of which the network ran on a region alone.
  public internal(set) var regionCount = 0
  /// Made inputs of which the network ran on nothing: what is visible of the image before is
  /// unchanged.
  public internal(set) var reusedCount = 0
  /// Images of which only the changed tiles were decoded.
  public internal(set) var partialDecodeCount = 0
  /// Inputs that failed.
  public internal(set) var failedCount = 0
  /// Inputs that were lost by a cancellation or a failure of the whole stream.
  public internal(set) var givenUpCount = 0
  /// The number of settings changes that took effect.
  public internal(set) var changeCount = 0
  /// The number of ticks.
  public internal(set) var tickCount = 0
  /// The time of all ticks.
  public internal(set) var tickTime = Duration.zero
  /// The part of it inside the network's engines.
  public internal(set) var engineTime = Duration.zero
  /// The times between the ends of consecutive ticks with something in flight in between, of the
  /// last 4096 ticks: the interval that a viewer sees.
  public internal(set) var tickGaps: [Duration] = []
  /// The measurement that chose the rows of a tick, if there was one.
  public internal(set) var calibration: RowCalibration?
  /// The maximum number of rows of a tick.
  public internal(set) var rowCapacity = 0
  /// The time until the first input could be encoded.
  public internal(set) var preparation = Duration.zero

  /// The median of the gaps.
  public var medianTickGap: Duration {
    tickGaps.isEmpty ? .zero : tickGaps.sorted()[tickGaps.count / 2]
  }

  /// The maximum of the gaps.
  public var longestTickGap: Duration { tickGaps.max() ?? .zero }

  mutating func add(_ outcome: TickStage.Outcome, gap: Duration?) {
    tickCount += 1
    tickTime += outcome.time
    engineTime += outcome.engineTime
    guard let gap else { return }
    if tickGaps.count == 4096 { tickGaps.removeFirst(1024) }
    tickGaps.append(gap)
  }
}
