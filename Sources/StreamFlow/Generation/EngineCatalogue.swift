public import FlowEngine

/// An engine of one row count and one number of chunks, and what its rows hold.
final class RowEngine {
  var session: Session
  let rows: Int
  /// The chunks of a row's conditioning.
  let chunks: Int
  /// What each row's conditioning was when it was last written.
  var conditionings: [Conditioning?]
  /// The time of the quickest run so far; nothing before the first.
  ///
  /// Of the mean a single slow run would make an engine look bad that is then never run again.
  private(set) var runTime: Duration?

  init(_ session: consuming Session, rows: Int, chunks: Int) {
    self.session = session
    self.rows = rows
    self.chunks = chunks
    conditionings = [Conditioning?](repeating: nil, count: rows)
  }

  /// Runs it, and waits.
  ///
  /// - Returns: the time that took.
  @discardableResult
  func run() throws(EngineError) -> Duration {
    let start = ContinuousClock.now
    try session.run()
    let time = ContinuousClock.now - start
    runTime = min(runTime ?? time, time)
    return time
  }
}

/// The engines of one graph for different row counts.
final class EngineCatalogue {
  /// Who makes engines.
  enum Growth {
    /// The catalogue, when a run needs one. Rows that nobody asked for are computed too where an
    /// engine has more rows than a run; a smaller engine is made as soon as the time lost so has
    /// reached the time it takes to make one, so that the whole never takes twice what it would
    /// with the best choice in hindsight.
    case asNeeded
    /// Others, who ``EngineCatalogue/add(_:)`` them; rows run on what is there, in the parts that
    /// take the least time. The paper's adaptive decomposition (arXiv:2511.22009, algorithm 3).
    case given
  }

  /// The rows of a tick that run on one engine together.
  struct Part {
    let engine: RowEngine
    let rows: Range<Int>
  }

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

  private let growth: Growth
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
  ///   - growth: who makes engines.
  ///   - make: makes an engine of so many rows and chunks.
  init(
    capacity: Int, weightsByteCount: Int, growth: Growth = .asNeeded,
    make: @escaping (_ rows: Int, _ chunks: Int) throws -> Session
  ) {
    precondition(capacity > 0, "an engine needs a row")
    self.capacity = capacity
    self.growth = growth
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

  /// How to run so many rows, whose conditionings have so many chunks.
  ///
  /// - Precondition: where engines are given, there is one of so many chunks.
  func parts(for rowCount: Int, chunks: Int = 1) throws(EngineError) -> [Part] {
    if growth == .given { return given(for: rowCount, chunks: chunks) }
    var parts: [Part] = []
    for start in stride(from: 0, to: rowCount, by: capacity) {
      let rows = start..<min(start + capacity, rowCount)
      parts.append(Part(engine: try engine(for: rows.count, chunks: chunks), rows: rows))
    }
    return parts
  }

  /// Runs an engine of which so many rows are wanted.
  func run(_ engine: RowEngine, rowCount: Int) throws(EngineError) {
    let time = try engine.run()
    runTime += time
    let size = size(for: rowCount, chunks: engine.chunks)
    if growth == .asNeeded, size.rows < engine.rows {
      lost[size, default: .zero] += time * (Double(engine.rows - size.rows) / Double(engine.rows))
    }
  }

  /// Whether an engine is yet to be kept in the cache.
  var hasUnkept: Bool { engines.contains { $0.session.isUnkept } }

  /// Keeps large engines in the cache.
  func keep() {
    for engine in engines { engine.session.keep() }
  }

  /// Makes an engine ahead of the runs that need it: one that holds so many rows, or, where
  /// engines are given, of just so many.
  func prepare(_ rowCount: Int, chunks: Int = 1) throws(EngineError) {
    switch growth {
    case .asNeeded: _ = try engine(for: rowCount, chunks: chunks)
    case .given: _ = try add(Size(rows: rowCount, chunks: chunks))
    }
  }

  /// Makes an engine of just so many rows, if there is none.
  func prepareExactly(_ rowCount: Int, chunks: Int = 1) throws(EngineError) {
    guard !engines.contains(where: { $0.rows == rowCount && $0.chunks == chunks }) else { return }
    _ = try add(Size(rows: rowCount, chunks: chunks))
  }

  /// Takes an engine in that was made elsewhere.
  func add(_ engine: RowEngine) {
    made.append(EngineReport(engine.session))
    engines.append(engine)
    engines.sort { $0.rows < $1.rows }
  }

  /// Whether rows of so many chunks can run.
  func hasEngine(chunks: Int) -> Bool { engines.contains { $0.chunks == chunks } }

  private func add(_ size: Size) throws(EngineError) -> RowEngine {
    if !keepsSeveral {
      // It took as long to compile as it takes to keep, and may be wanted again.
      keep()
      engines.removeAll()
    }
    do {
      let session = try make(size.rows, size.chunks)
      let engine = RowEngine(session, rows: size.rows, chunks: size.chunks)
      add(engine)
      return engine
    } catch { throw EngineError(wrapping: error) }
  }

  private func size(for rowCount: Int, chunks: Int) -> Size {
    var rows = 1
    while rows < rowCount { rows *= 2 }
    return Size(rows: min(rows, capacity), chunks: chunks)
  }

  // MARK: - Parts

  /// The parts that take the least time, of the engines that are there: the cheapest way to each
  /// count of rows is the cheapest last part after the cheapest way to what is before it.
  private func given(for rowCount: Int, chunks: Int) -> [Part] {
    let usable = engines.filter { $0.chunks == chunks }
    precondition(!usable.isEmpty, "no engine of \(chunks) chunks was given")
    let costs = Self.costs(of: usable)
    if usable.count == 1 || rowCount == usable[0].rows {
      return Self.parts([(usable[0], rowCount)])
    }
    var best: [(cost: Double, engine: Int, rows: Int)] = [(0, 0, 0)]
    for count in 1...rowCount {
      let choices = usable.indices.map { index in
        let rows = min(usable[index].rows, count)
        return (best[count - rows].cost + costs[index], index, rows)
      }
      best.append(choices.min { $0.0 < $1.0 } ?? (0, 0, count))
    }
    var chosen: [(RowEngine, Int)] = []
    var left = rowCount
    while left > 0 {
      chosen.append((usable[best[left].engine], best[left].rows))
      left -= best[left].rows
    }
    return Self.parts(chosen)
  }

  private static func parts(_ chosen: [(engine: RowEngine, rows: Int)]) -> [Part] {
    var parts: [Part] = []
    var start = 0
    for (engine, rows) in chosen {
      for first in stride(from: 0, to: rows, by: engine.rows) {
        let count = min(engine.rows, rows - first)
        parts.append(Part(engine: engine, rows: start + first..<start + first + count))
      }
      start += rows
    }
    return parts
  }

  /// The seconds of a run of each: as measured, or by its operations where it has not run.
  private static func costs(of engines: [RowEngine]) -> [Double] {
    let measured = engines.filter { $0.runTime != nil }
    let time = measured.reduce(0) { $0 + ($1.runTime ?? .zero) / .seconds(1) }
    let work = measured.reduce(0) { $0 + Double($1.session.operationCount) }
    let secondsPerOperation = work > 0 ? time / work : 1e-11
    return engines.map { engine in
      engine.runTime.map { $0 / .seconds(1) }
        // A run's own costs, so that of equal work one run is better than several.
        ?? Double(engine.session.operationCount) * secondsPerOperation + 5e-5
    }
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
