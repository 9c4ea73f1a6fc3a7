internal import Synchronization

/// The origin of a program, its preparation time and its cost.
public struct EngineReport: Sendable {
  /// The origin of an engine.
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
  /// The origin of its engine.
  public let origin: Origin
  /// The time of its preparation.
  public let preparation: Duration
  /// The floating-point operations per run in convolutions and matrix products.
  public let operationCount: Int
}

/// A log of the programs of a generator or a live stream.
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

  /// Adds a program; the log lists it as present while the result lives.
  func add(_ report: EngineReport) -> Presence {
    let presence = Presence()
    entries.withLock { $0.append(Entry(report: report, presence: presence)) }
    return presence
  }

  /// All programs so far, in order.
  public var made: [EngineReport] { entries.withLock { $0.map(\.report) } }

  /// The programs that still exist, in order.
  public var present: [EngineReport] {
    entries.withLock { $0.filter { $0.presence != nil }.map(\.report) }
  }
}
