public import FlowEngine

/// An engine of one row count, and what its rows hold.
final class RowEngine {
  let session: Session
  let rows: Int
  /// What each row's conditioning was when it was last written.
  var conditionings: [Conditioning?]

  init(_ session: consuming Session, rows: Int) {
    self.session = session
    self.rows = rows
    conditionings = [Conditioning?](repeating: nil, count: rows)
  }
}

/// The engines of one graph for different row counts, made as they are needed.
///
/// Rows that nobody asked for are computed too where an engine has more rows than a run. A
/// smaller engine is made as soon as the time lost so has reached the time it takes to make one,
/// so that the whole never takes twice what it would with the best choice in hindsight.
final class EngineCatalogue {
  /// The most rows of a run.
  let capacity: Int
  /// The time spent inside the engines.
  private(set) var runTime = Duration.zero
  /// What was made, in order.
  private(set) var made: [EngineReport] = []

  private let make: (Int) throws -> Session
  /// Whether several engines may be kept; those of a large network are gigabytes each.
  private let keepsSeveral: Bool
  private var engines: [RowEngine] = []
  private var lost: [Int: Duration] = [:]

  /// - Parameters:
  ///   - capacity: the most rows of a run, positive.
  ///   - weightsByteCount: the bytes of the weights, of which every engine holds a copy.
  ///   - make: makes an engine of so many rows.
  init(capacity: Int, weightsByteCount: Int, make: @escaping (Int) throws -> Session) {
    precondition(capacity > 0, "an engine needs a row")
    self.capacity = capacity
    self.make = make
    keepsSeveral = weightsByteCount < 256 << 20
  }

  /// The engine to run so many rows on.
  func engine(for rowCount: Int) throws(EngineError) -> RowEngine {
    precondition((1...capacity).contains(rowCount), "\(rowCount) rows of \(capacity)")
    let size = min(Self.powerOfTwo(from: rowCount), capacity)
    guard let fitting = engines.first(where: { $0.rows >= rowCount }) else {
      return try add(size)
    }
    guard keepsSeveral, size < fitting.rows, let cost = made.last?.preparation,
      lost[size, default: .zero] > cost
    else { return fitting }
    return try add(size)
  }

  /// Runs an engine of which so many rows are wanted.
  func run(_ engine: RowEngine, rowCount: Int) throws(EngineError) {
    let start = ContinuousClock.now
    try engine.session.run()
    let time = ContinuousClock.now - start
    runTime += time
    let size = min(Self.powerOfTwo(from: rowCount), capacity)
    if size < engine.rows {
      lost[size, default: .zero] += time * (Double(engine.rows - size) / Double(engine.rows))
    }
  }

  private func add(_ rows: Int) throws(EngineError) -> RowEngine {
    if !keepsSeveral { engines.removeAll() }
    do {
      let engine = RowEngine(try make(rows), rows: rows)
      made.append(
        EngineReport(
          name: engine.session.name, origin: engine.session.origin,
          preparation: engine.session.preparation))
      engines.append(engine)
      engines.sort { $0.rows < $1.rows }
      return engine
    } catch { throw EngineError(wrapping: error) }
  }

  private static func powerOfTwo(from count: Int) -> Int {
    var power = 1
    while power < count { power *= 2 }
    return power
  }
}

/// How an engine came to be.
public struct EngineReport: Sendable {
  /// The graph's name with its shape.
  public let name: String
  /// Whether it was compiled, or taken from the cache.
  public let origin: Session.Origin
  /// The time it took to become ready.
  public let preparation: Duration
}
