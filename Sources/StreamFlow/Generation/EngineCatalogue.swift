internal import FlowEngine
internal import FlowGraph
internal import FlowModels

/// A program of one batch size and one structure, and what its rows hold.
final class RowEngine {
  let program: Program
  let rows: Int
  /// What the network's rows read.
  let structure: NetworkStructure
  /// What each row's conditioning was when it was last written.
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
  /// Who makes programs.
  enum Growth {
    /// The catalogue, when a run needs one (``EngineCatalogue/prepare(_:structure:isolation:)``). Rows
    /// that nobody asked for are computed too where a program has more rows than a run; a smaller
    /// one is made as soon as the time lost so has reached the time it takes to make one, so that
    /// the whole never takes twice what it would with the best choice in hindsight.
    case asNeeded
    /// Others, who ``EngineCatalogue/add(_:)`` them; rows run on what is there, in the parts that
    /// take the least time. The paper's adaptive decomposition (arXiv:2511.22009, algorithm 3).
    case given
  }

  /// The rows of a tick that run on one program together.
  struct Part {
    let engine: RowEngine
    let rows: Range<Int>
  }

  /// The most rows of a run.
  let capacity: Int
  /// The time spent in runs.
  private(set) var runTime = Duration.zero
  /// Whether several programs may be there at once; those of a large network are gigabytes each.
  let keepsSeveral: Bool

  /// The bytes of weights from which on a network is large.
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
  ///   - capacity: the most rows of a run, positive.
  ///   - weightsByteCount: the bytes of the weights, of which every engine holds a copy.
  ///   - growth: who makes programs.
  ///   - provider: where programs come from.
  ///   - module: writes the graph of a batch size and a structure.
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

  /// Makes the programs that a run of a batch size needs; where programs are given, one of exactly that
  /// size.
  func prepare(
    _ rowCount: Int, structure: NetworkStructure = NetworkStructure(), isolation: isolated (any Actor)? = #isolation
  ) async throws {
    if growth == .given { return try await make(Size(rows: rowCount, structure: structure)) }
    for count in Set([min(rowCount, capacity), rowCount % capacity]).sorted(by: >)
    where count > 0 {
      if let missing = missing(for: count, structure: structure) { try await make(missing) }
    }
  }

  /// Makes a program of exactly a batch size, if there is none.
  func prepareExactly(
    _ rowCount: Int, structure: NetworkStructure = NetworkStructure(), isolation: isolated (any Actor)? = #isolation
  ) async throws {
    guard !engines.contains(where: { $0.rows == rowCount && $0.structure == structure }) else { return }
    try await make(Size(rows: rowCount, structure: structure))
  }

  /// Takes a program in that was made elsewhere.
  func add(_ engine: RowEngine) {
    lastPreparation = engine.program.report.preparation
    engines.append(engine)
    engines.sort { $0.rows < $1.rows }
  }

  /// Whether rows of a structure can run.
  func hasEngine(_ structure: NetworkStructure) -> Bool { engines.contains { $0.structure == structure } }

  private func make(
    _ size: Size, isolation: isolated (any Actor)? = #isolation
  ) async throws {
    if !keepsSeveral {
      // It took as long to compile as it takes to persist, and may be wanted again.
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

  /// How a batch of a structure runs.
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

  /// Runs a program of which some rows are wanted.
  func run(_ engine: RowEngine, rowCount: Int) throws(EngineError) {
    let time = try engine.program.run()
    runTime += time
    let size = size(for: rowCount, structure: engine.structure)
    if growth == .asNeeded, size.rows < engine.rows {
      lost[size, default: .zero] += time * (Double(engine.rows - size.rows) / Double(engine.rows))
    }
  }

  /// The parts that take the least time, of the programs that are there: the cheapest way to each
  /// count of rows is the cheapest last part after the cheapest way to what is before it.
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

  /// The seconds of a run of each: as measured, or by its operations where it has not run.
  private static func costs(of engines: [RowEngine]) -> [Double] {
    let measured = engines.filter { $0.program.fastestRun != nil }
    let time = measured.reduce(0) { $0 + ($1.program.fastestRun ?? .zero) / .seconds(1) }
    let work = measured.reduce(0) { $0 + Double($1.program.operationCount) }
    let secondsPerOperation = work > 0 ? time / work : 1e-11
    return engines.map { engine in
      engine.program.fastestRun.map { $0 / .seconds(1) }
        // A run's own costs, so that of equal work one run is better than several.
        ?? Double(engine.program.operationCount) * secondsPerOperation + 5e-5
    }
  }
}
