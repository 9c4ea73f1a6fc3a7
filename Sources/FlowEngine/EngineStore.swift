public import FlowGraph
internal import Foundation

/// The engines of a device. Each is compiled once, shared by all clients, and persisted when no
/// request waits.
///
/// Any number of generators and live streams may share a store; their runs are serialized by the
/// store's ``queue``. Compilation has a thread of its own and compiles one engine at a time, so
/// that the memory peaks of two compilations do not add up. An engine lives as long as one of its
/// programs.
///
/// ```swift
/// let store = EngineStore(backends: [backend], device: .cpu, cache: cache)
/// let program = try await store.program(for: module)
/// ```
public actor EngineStore {
  /// The thread that runs the programs of this device.
  public nonisolated let queue: DeviceQueue
  /// The requested device.
  public nonisolated let device: DeviceName
  /// How graphs are compiled.
  public nonisolated let options: EngineOptions
  /// The cache that persists engines, if any.
  public nonisolated let cache: EngineCache?

  private nonisolated let executor = DeviceQueue(label: "streamflow.compilation")
  private let backends: [any Backend]
  private var resolved: (backend: any Backend, device: Device)?
  private var engines: [EngineKey: SharedEngine] = [:]
  private var unpersisted: [(engine: any CompiledGraph, key: EngineKey)] = []

  /// An engine that lives as long as one of its programs.
  private struct SharedEngine {
    weak let engine: (any CompiledGraph)?
  }

  /// Minimum weight bytes at which persisting an engine takes about as long as compiling it.
  private static let largeByteCount = 64 << 20
  /// Minimum weight bytes at which a compiled engine is replaced by its persisted form.
  private let reloadedByteCount: Int

  /// The thread of this actor alone.
  public nonisolated var unownedExecutor: UnownedSerialExecutor {
    unsafe executor.asUnownedSerialExecutor()
  }

  /// Creates a store; backend and device are resolved with the first program.
  ///
  /// - Parameters:
  ///   - backends: the backends to choose from, best first.
  ///   - device: the device.
  ///   - options: threads and precision.
  ///   - cache: the cache that persists engines, if any.
  ///   - queue: the thread that runs the programs. Stores of the same device share it.
  ///   - reloadedByteCount: the minimum weight bytes at which an engine is persisted as soon as it
  ///     is compiled, and loaded from there: a compiled engine holds its weights twice, a loaded
  ///     one once. Smaller engines are persisted when no request waits.
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

  /// A program of a graph: compiled, loaded from the cache, or with an existing engine.
  ///
  /// Concurrent requests for the same graph compile it once.
  ///
  /// - Parameters:
  ///   - module: the graph.
  ///   - log: the log that records the program.
  /// - Throws: an ``EngineError``; `CancellationError` if the task is cancelled before the
  ///   compilation starts.
  public func program(
    for module: GraphModule, log: EngineLog = EngineLog()
  ) throws -> sending Program {
    let start = ContinuousClock.now
    let key = try key(of: module)
    let (engine, origin) = try engine(of: module, key)
    return try Program(
      engine, of: module, on: resolve().device,
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

  /// Compiles an engine, persists it, and loads the persisted form; returns the compiled engine if
  /// it cannot be persisted.
  private func reloaded(
    _ key: EngineKey, in cache: EngineCache,
    compile: () throws(EngineError) -> any CompiledGraph, load: () -> (any CompiledGraph)?
  ) throws(EngineError) -> any CompiledGraph {
    // The compiled engine is released before the other is loaded: together they hold three copies
    // of the weights.
    func persisted() throws(EngineError) -> (any CompiledGraph)? {
      let engine = try compile()
      return cache.keep(engine, for: key) ? nil : engine
    }
    if let engine = try persisted() { return engine }
    return if let engine = load() { engine } else { try compile() }
  }

  /// The key of a graph's engine: everything that can change its results.
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

  /// Whether compiled engines exist that are too large to be persisted at once.
  public var hasUnpersisted: Bool { !unpersisted.isEmpty }

  /// Persists large engines.
  ///
  /// It writes gigabytes, so it is best called when no request waits.
  public func persist() {
    let engines = unpersisted
    unpersisted = []
    for (engine, key) in engines { cache?.keep(engine, for: key) }
  }

  /// The measured seconds of a run of a graph's engines, by batch rows.
  ///
  /// - Throws: an ``EngineError`` if the device is not available.
  public func measurements(of module: GraphModule) throws(EngineError) -> [Int: Double] {
    guard let cache else { return [:] }
    return cache.measurements(for: try key(of: module))
  }

  /// Persists the measured seconds of a run of a graph's engines.
  ///
  /// - Throws: an ``EngineError`` if the device is not available.
  public func persist(
    _ measurements: [Int: Double], of module: GraphModule
  ) throws(EngineError) {
    cache?.keep(measurements, for: try key(of: module))
  }
}
