public import FlowEngine

/// An engine of one row count and one number of chunks, and what its rows hold.
final class RowEngine {
  var session: Session
  let rows: Int
  /// The chunks of a row's conditioning.
  let chunks: Int
  /// What each row's conditioning was when it was last written.
  var conditionings: [Conditioning?]

  init(_ session: consuming Session, rows: Int, chunks: Int) {
    self.session = session
    self.rows = rows
    self.chunks = chunks
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

  /// Whether several engines may be kept; those of a large network are gigabytes each.
  let keepsSeveral: Bool

  /// The bytes of weights from which on a network is large.
  static let largeByteCount = 256 << 20

  private let make: (_ rows: Int, _ chunks: Int) throws -> Session
  private var engines: [RowEngine] = []
  private var lost: [Size: Duration] = [:]

  private struct Size: Hashable {
    let rows: Int
    let chunks: Int
  }

  /// - Parameters:
  ///   - capacity: the most rows of a run, positive.
  ///   - weightsByteCount: the bytes of the weights, of which every engine holds a copy.
  ///   - make: makes an engine of so many rows and chunks.
  init(
    capacity: Int, weightsByteCount: Int,
    make: @escaping (_ rows: Int, _ chunks: Int) throws -> Session
  ) {
    precondition(capacity > 0, "an engine needs a row")
    self.capacity = capacity
    self.make = make
    keepsSeveral = weightsByteCount < Self.largeByteCount
  }

  /// The engine to run so many rows on, whose conditionings have so many chunks.
  func engine(for rowCount: Int, chunks: Int = 1) throws(EngineError) -> RowEngine {
    precondition((1...capacity).contains(rowCount), "\(rowCount) rows of \(capacity)")
    let size = size(for: rowCount, chunks: chunks)
    let fits = engines.first { $0.chunks == chunks && $0.rows >= rowCount }
    guard let fitting = fits else { return try add(size) }
    guard keepsSeveral, size.rows < fitting.rows, let cost = made.last?.preparation,
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
    let size = size(for: rowCount, chunks: engine.chunks)
    if size.rows < engine.rows {
      lost[size, default: .zero] += time * (Double(engine.rows - size.rows) / Double(engine.rows))
    }
  }

  /// Whether an engine is yet to be kept in the cache.
  var hasUnkept: Bool { engines.contains { $0.session.isUnkept } }

  /// Keeps large engines in the cache.
  func keep() {
    for engine in engines { engine.session.keep() }
  }

  private func add(_ size: Size) throws(EngineError) -> RowEngine {
    if !keepsSeveral {
      // It took as long to compile as it takes to keep, and may be wanted again.
      keep()
      engines.removeAll()
    }
    do {
      let session = try make(size.rows, size.chunks)
      let engine = RowEngine(session, rows: size.rows, chunks: size.chunks)
      made.append(EngineReport(engine.session))
      engines.append(engine)
      engines.sort { $0.rows < $1.rows }
      return engine
    } catch { throw EngineError(wrapping: error) }
  }

  private func size(for rowCount: Int, chunks: Int) -> Size {
    var rows = 1
    while rows < rowCount { rows *= 2 }
    return Size(rows: min(rows, capacity), chunks: chunks)
  }
}

/// How an engine came to be, and what it does.
public struct EngineReport: Sendable {
  /// The graph's name with its shape.
  public let name: String
  /// Whether it was compiled, or taken from the cache.
  public let origin: Session.Origin
  /// The time it took to become ready.
  public let preparation: Duration
  /// The floating-point operations of the convolutions and matrix products of a run.
  public let operationCount: Int

  init(_ session: borrowing Session) {
    name = session.name
    origin = session.origin
    preparation = session.preparation
    operationCount = session.operationCount
  }
}
