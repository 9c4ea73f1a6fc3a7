internal import Synchronization

/// How a program came to be, and what a run of it takes.
public struct EngineReport: Sendable {
  /// Where its engine came from.
  public enum Origin: Sendable {
    /// Compiled from the graph.
    case compiled
    /// Loaded from the engine cache.
    case cached
    /// Shared with another program of this process.
    case shared
  }

  /// The graph's name with its shape.
  public let name: String
  /// Where its engine came from.
  public let origin: Origin
  /// The time it took to become ready.
  public let preparation: Duration
  /// The floating-point operations of the convolutions and matrix products of a run.
  public let operationCount: Int
}

/// A record of the programs that a generator or a live stream was given.
public final class EngineLog: Sendable {
  /// Lives as long as a program.
  final class Presence: Sendable {}

  private struct Entry: Sendable {
    let report: EngineReport
    weak let presence: Presence?
  }

  private let entries = Mutex<[Entry]>([])

  /// Creates an empty log.
  public init() {}

  /// Adds a program; the log knows it as long as the result lives.
  func add(_ report: EngineReport) -> Presence {
    let presence = Presence()
    entries.withLock { $0.append(Entry(report: report, presence: presence)) }
    return presence
  }

  /// All programs that there ever were, in their order.
  public var made: [EngineReport] { entries.withLock { $0.map(\.report) } }

  /// The programs that are still there, in their order.
  public var present: [EngineReport] {
    entries.withLock { $0.filter { $0.presence != nil }.map(\.report) }
  }
}
