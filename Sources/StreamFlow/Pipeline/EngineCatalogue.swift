internal import FlowEngine
internal import FlowGraph
internal import FlowModels

/// A program of one batch size and one structure, and the conditionings in its rows.
final class RowEngine {
  let program: Program
  let rows: Int
  /// The inputs of the network's rows.
  let structure: NetworkStructure
  /// The conditioning that was last written into each row.
  var conditionings: [Conditioning?]

  init(_ program: Program, rows: Int, structure: NetworkStructure) {
    self.program = program
    self.rows = rows
    self.structure = structure
    conditionings = [Conditioning?](repeating: nil, count: rows)
  }
}

/// The programs of one network for different batch sizes.
final class EngineCatalogue {
  /// How programs are added.
  enum Growth {
    /// The catalogue makes a program when a run needs one
    /// (``EngineCatalogue/prepare(_:structure:isolation:)``). If a program has more rows than a
    /// run, the spare rows are computed too. A smaller program is made as soon as the time lost in
    /// this way equals the time that making one takes, so that the total is never more than twice
    /// that of the best choice in hindsight.
    case asNeeded
    /// Programs are made elsewhere and added with ``EngineCatalogue/add(_:)``; rows run on the
    /// available programs, in the parts that take the least time. This is the paper's adaptive
    /// decomposition (arXiv:2511.22009, algorithm 3).
    case given
  }

  /// The rows of a tick that run together on one program.
  struct Part {
    let engine: RowEngine
    let rows: Range<Int>
  }

  /// The maximum number of rows of a run.
  let capacity: Int
  /// The time spent in runs.
  private(set) var runTime = Duration.zero
  /// Whether several programs may exist at once; each program of a large network takes gigabytes.
  let keepsSeveral: Bool

  /// The size of the weights in bytes from which on a network is large.
  static let largeByteCount = 256 << 20

  private let growth: Growth
  private let provider: EngineProvider
  private let module: (_ rows: Int, _ structure: NetworkStructure) throws -> GraphModule
  private var engines: [RowEngine] = []
  private var lost: [Size: Duration] = [:]
  private var lastPreparation: Duration?

  private struct Size: Hashable {
    let rows: Int
    let structure: NetworkStructure
  }

  /// - Parameters:
  ///   - capacity: the maximum number of rows of a run, positive.
  ///   - weightsByteCount: the size of the weights in bytes; every engine holds a copy.
  ///   - growth: how programs are added.
  ///   - provider: makes programs.
  ///   - module: builds the graph of a batch size and a structure.
  init(
    capacity: Int, weightsByteCount: Int, growth: Growth = .asNeeded, provider: EngineProvider,
    module: @escaping (_ rows: Int, _ structure: NetworkStructure) throws -> GraphModule
  ) {
    precondition(capacity > 0, "an engine needs a row")
    self.capacity = capacity
    self.growth = growth
    self.provider = provider
    self.module = module
    keepsSeveral = weightsByteCount < Self.largeByteCount
  }

  // MARK: - Programs

  /// Makes the programs that a run of a batch size needs.
  ///
  /// If programs are added from elsewhere, makes one of exactly that size.
  func prepare(
    _ rowCount: Int, structure: NetworkStructure = NetworkStructure(),
    isolation: isolated (any Actor)? = #isolation
  ) async throws {
    if growth == .given { return try await make(Size(rows: rowCount, structure: structure)) }
    for count in Set([min(rowCount, capacity), rowCount % capacity]).sorted(by: >)
    where count > 0 {
      if let missing = missing(for: count, structure: structure) { try await make(missing) }
    }
  }

  /// Makes a program of exactly this batch size, if there is none.
  func prepareExactly(
    _ rowCount: Int, structure: NetworkStructure = NetworkStructure(),
    isolation: isolated (any Actor)? = #isolation
  ) async throws {
    guard !engines.contains(where: { $0.rows == rowCount && $0.structure == structure }) else {
      return
    }
    try await make(Size(rows: rowCount, structure: structure))
  }

  /// Adds a program that was made elsewhere.
  func add(_ engine: RowEngine) {
    lastPreparation = engine.program.report.preparation
    engines.append(engine)
    engines.sort { $0.rows < $1.rows }
  }

  /// Whether rows of a structure can run.
  func hasEngine(_ structure: NetworkStructure) -> Bool {
    engines.contains { $0.structure == structure }
  }

  /// Releases the programs of a large network, whose weights another program is about to hold; the
  /// next run makes what it needs.
  func releaseLarge(isolation: isolated (any Actor)? = #isolation) async {
    guard !keepsSeveral else { return }
    await provider.store.persist()
    engines.removeAll()
  }

  private func make(
    _ size: Size, isolation: isolated (any Actor)? = #isolation
  ) async throws {
    if !keepsSeveral {
      // Compiling took as long as persisting takes, and the program may be needed again.
      await provider.store.persist()
      engines.removeAll()
    }
    let program = try await provider.program(for: module(size.rows, size.structure))
    add(RowEngine(program, rows: size.rows, structure: size.structure))
  }

  /// The program that must be made before a run of a batch size, if any.
  private func missing(for rowCount: Int, structure: NetworkStructure) -> Size? {
    let size = size(for: rowCount, structure: structure)
    guard let fitting = fitting(rowCount, structure: structure) else { return size }
    guard keepsSeveral, size.rows < fitting.rows, let cost = lastPreparation,
      lost[size, default: .zero] > cost
    else { return nil }
    return size
  }

  private func fitting(_ rowCount: Int, structure: NetworkStructure) -> RowEngine? {
    engines.first { $0.structure == structure && $0.rows >= rowCount }
  }

  private func size(for rowCount: Int, structure: NetworkStructure) -> Size {
    var rows = 1
    while rows < rowCount { rows *= 2 }
    return Size(rows: min(rows, capacity), structure: structure)
  }

  // MARK: - Runs

  /// How a batch of a structure is split into runs.
  ///
  /// - Precondition: the batch size was prepared for.
  func parts(for rowCount: Int, structure: NetworkStructure = NetworkStructure()) -> [Part] {
    if growth == .given { return given(for: rowCount, structure: structure) }
    return stride(from: 0, to: rowCount, by: capacity).map { start in
      let rows = start..<min(start + capacity, rowCount)
      guard let engine = fitting(rows.count, structure: structure) else {
        preconditionFailure("nothing was prepared for \(rows.count) rows of \(structure)")
      }
      return Part(engine: engine, rows: rows)
    }
  }

  /// Runs a program and uses some of its rows.
  func run(_ engine: RowEngine, rowCount: Int) throws(EngineError) {
    let time = try engine.program.run()
    runTime += time
    let size = size(for: rowCount, structure: engine.structure)
    if growth == .asNeeded, size.rows < engine.rows {
      lost[size, default: .zero] += time * (Double(engine.rows - size.rows) / Double(engine.rows))
    }
  }

  /// The fastest split over the available programs: the cheapest way to run n rows is the cheapest
  /// last part after the cheapest way to run the rows before it.
  private func given(for rowCount: Int, structure: NetworkStructure) -> [Part] {
    let usable = engines.filter { $0.structure == structure }
    precondition(!usable.isEmpty, "no engine of \(structure) was given")
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

  /// The seconds of a run of each program: measured, or estimated from its operations if it has not
  /// run.
  private static func costs(of engines: [RowEngine]) -> [Double] {
    let measured = engines.filter { $0.program.fastestRun != nil }
    let time = measured.reduce(0) { $0 + ($1.program.fastestRun ?? .zero) / .seconds(1) }
    let work = measured.reduce(0) { $0 + Double($1.program.operationCount) }
    let secondsPerOperation = work > 0 ? time / work : 1e-11
    return engines.map { engine in
      engine.program.fastestRun.map { $0 / .seconds(1) }
        // A run has a fixed cost, so that one run is preferred to several of equal work.
        ?? Double(engine.program.operationCount) * secondsPerOperation + 5e-5
    }
  }
}
