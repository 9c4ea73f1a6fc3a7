internal import FlowModels

/// What a live stream counted and measured of itself.
///
/// Every input is one of: dropped, skipped, made, failed, given up, or still under way.
public struct LiveStatistics: Sendable {
  /// The inputs that were offered.
  public internal(set) var offeredCount = 0
  /// Those that a later one replaced before their turn.
  public internal(set) var droppedCount = 0
  /// Those that the filter found like the one before.
  public internal(set) var skippedCount = 0
  /// Those that were made into an image.
  public internal(set) var madeCount = 0
  /// Those that failed.
  public internal(set) var failedCount = 0
  /// Those that were given up by a cancellation or a failure of the whole stream.
  public internal(set) var givenUpCount = 0
  /// The changes of settings that took effect.
  public internal(set) var changeCount = 0
  /// The number of ticks.
  public internal(set) var tickCount = 0
  /// The time of all ticks.
  public internal(set) var tickTime = Duration.zero
  /// The part of it inside the network's engines.
  public internal(set) var engineTime = Duration.zero
  /// From the end of a tick to the end of the next, of the last 4096 that had something in flight
  /// in between: what a viewer waits for.
  public internal(set) var tickGaps: [Duration] = []
  /// What was measured to choose the rows of a tick, if anything was.
  public internal(set) var calibration: RowCalibration?
  /// The most rows of a tick.
  public internal(set) var rowCapacity = 0
  /// The time it took until the first input could be encoded.
  public internal(set) var preparation = Duration.zero

  /// The middle one of the gaps.
  public var medianTickGap: Duration {
    tickGaps.isEmpty ? .zero : tickGaps.sorted()[tickGaps.count / 2]
  }

  /// The longest of the gaps.
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
