public import FlowGraph
internal import Foundation

/// The engines of a device: each is compiled once, shared by all who ask for it, and persisted when
/// nobody waits.
///
/// A store may be handed to any number of generators and live streams; what they run takes turns on
/// the store's ``queue``. Compilation has a thread of its own, one engine after another: the peaks
/// of two compilations do not add up. An engine lives as long as a program of it.
///
/// ```swift
/// let store = EngineStore(backends: [backend], device: .cpu, cache: cache)
/// let program = try await store.program(for: module)
/// ```
public actor EngineStore {
  /// The thread that runs the programs of this device.
  public nonisolated let queue: DeviceQueue
  /// The device, as it was asked for.
  public nonisolated let device: DeviceName
  /// How graphs are compiled.
  public nonisolated let options: EngineOptions
  /// Where engines are persisted, if anywhere.
  public nonisolated let cache: EngineCache?

  private nonisolated let executor = DeviceQueue(label: "streamflow.compilation")
  private let backends: [any Backend]
  private var resolved: (backend: any Backend, device: Device)?
  private var engines: [EngineKey: SharedEngine] = [:]
  private var unpersisted: [(engine: any CompiledGraph, key: EngineKey)] = []

  /// An engine as long as someone has a program of it.
  private struct SharedEngine {
    weak let engine: (any CompiledGraph)?
  }

  /// The bytes of weights from which on persisting an engine takes about as long as compiling it.
  private static let largeByteCount = 64 << 20
  /// The bytes of weights from which on a compiled engine gives way to what was persisted of it.
  private let reloadedByteCount: Int

  /// The thread that this actor has to itself.
  public nonisolated var unownedExecutor: UnownedSerialExecutor {
    unsafe executor.asUnownedSerialExecutor()
  }

  /// Sets a store up; backend and device are looked for with the first program.
  ///
  /// - Parameters:
  ///   - backends: the backends to choose from, best first.
  ///   - device: the device.
  ///   - options: threads and precision.
  ///   - cache: where engines are persisted, if anywhere.
  ///   - queue: the thread that runs the programs; stores that share a device share it.
  ///   - reloadedByteCount: the bytes of weights from which on an engine is persisted as soon as it
  ///     is compiled, and loaded from there: a compiled engine holds its weights twice, a loaded one
  ///     once. Smaller ones are persisted when nobody waits.
  public init(
    backends: [any Backend], device: DeviceName = .cpu, options: EngineOptions = EngineOptions(),
    cache: EngineCache? = nil, queue: DeviceQueue = DeviceQueue(),
    reloadedByteCount: Int = 512 << 20
  ) {
    self.reloadedByteCount = reloadedByteCount
    self.backends = backends
    self.device = device
    self.options = options
    self.cache = cache
    self.queue = queue
  }

  /// A program of a graph: compiled, loaded from the cache, or of an engine that is there.
  ///
  /// Where several ask for the same graph at once, it is compiled once.
  ///
  /// - Parameters:
  ///   - module: the graph.
  ///   - log: where the program is recorded.
  /// - Throws: an ``EngineError``; `CancellationError` where the task is cancelled before the
  ///   compilation begins.
  public func program(
    for module: GraphModule, log: EngineLog = EngineLog()
  ) throws -> sending Program {
    let start = ContinuousClock.now
    let key = try key(of: module)
    let (engine, origin) = try engine(of: module, key)
    return try Program(
      engine, of: module,
      report: EngineReport(
        name: module.name, origin: origin, preparation: .now - start,
        operationCount: module.operationCount),
      log: log)
  }

  private func engine(
    of module: GraphModule, _ key: EngineKey
  ) throws -> (any CompiledGraph, EngineReport.Origin) {
    engines = engines.filter { $0.value.engine != nil }
    if let engine = engines[key]?.engine { return (engine, .shared) }
    try Task.checkCancellation()
    let (backend, device) = try resolve()
    let usable = backend.canPersist(on: device) ? cache : nil
    func load() -> (any CompiledGraph)? {
      usable?.engine(for: key) { file throws(EngineError) in
        try backend.load(file, of: module, on: device, options)
      }
    }
    func compile() throws(EngineError) -> any CompiledGraph {
      try backend.compile(module, on: device, options)
    }
    let loaded = load()
    let isReloaded = usable != nil && module.weightsByteCount >= reloadedByteCount
    let engine =
      if let loaded {
        loaded
      } else if let usable, isReloaded {
        try reloaded(key, in: usable, compile: compile, load: load)
      } else {
        try compile()
      }
    let counts = try engine.portCounts()
    guard counts == (module.inputs.count, module.outputs.count) else {
      throw EngineError(
        code: .modelUnreadable,
        message: "\(module.name) has \(module.inputs.count) inputs and \(module.outputs.count) "
          + "outputs, its engine \(counts.inputs) and \(counts.outputs)")
    }
    engines[key] = SharedEngine(engine: engine)
    if let usable, loaded == nil, !isReloaded {
      if module.weightsByteCount < Self.largeByteCount {
        usable.keep(engine, for: key)
      } else {
        unpersisted.append((engine, key))
      }
    }
    return (engine, loaded == nil ? .compiled : .cached)
  }

  /// Compiles an engine, persists it, and gives what loads from there; where it cannot be persisted,
  /// the compiled one.
  private func reloaded(
    _ key: EngineKey, in cache: EngineCache,
    compile: () throws(EngineError) -> any CompiledGraph, load: () -> (any CompiledGraph)?
  ) throws(EngineError) -> any CompiledGraph {
    // The compiled engine is gone before the loaded one is there: both together are three copies of
    // the weights.
    func persisted() throws(EngineError) -> (any CompiledGraph)? {
      let engine = try compile()
      return cache.keep(engine, for: key) ? nil : engine
    }
    if let engine = try persisted() { return engine }
    return if let engine = load() { engine } else { try compile() }
  }

  /// The key of a graph's engine: everything that can change what it computes.
  private func key(of module: GraphModule) throws(EngineError) -> EngineKey {
    let (backend, device) = try resolve()
    return try EngineKey(
      of: module, fingerprint: backend.fingerprint(of: device, options))
  }

  private func resolve() throws(EngineError) -> (backend: any Backend, device: Device) {
    if let resolved { return resolved }
    let found = try device.resolved(among: backends)
    resolved = found
    return found
  }

  // MARK: - Persistence

  /// Whether engines were compiled that are too large to be persisted at once.
  public var hasUnpersisted: Bool { !unpersisted.isEmpty }

  /// Persists large engines, which writes gigabytes: best done when nobody waits.
  public func persist() {
    let engines = unpersisted
    unpersisted = []
    for (engine, key) in engines { cache?.keep(engine, for: key) }
  }

  /// What was measured of engines of a graph's kind: seconds of a run, by its batch rows.
  ///
  /// - Throws: an ``EngineError`` where the device is not there.
  public func measurements(of module: GraphModule) throws(EngineError) -> [Int: Double] {
    guard let cache else { return [:] }
    return cache.measurements(for: try key(of: module))
  }

  /// Persists what was measured of engines of a graph's kind.
  ///
  /// - Throws: an ``EngineError`` where the device is not there.
  public func persist(
    _ measurements: [Int: Double], of module: GraphModule
  ) throws(EngineError) {
    cache?.keep(measurements, for: try key(of: module))
  }
}
