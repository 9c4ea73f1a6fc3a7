public import FlowEngine
public import FlowGraph
internal import Synchronization

/// A backend whose device fails: after a number of runs of some graphs, all runs fail.
public final class FailingBackend: Backend {
  private let backend: any Backend
  private let prefix: String
  private let runsLeft: Mutex<Int>

  /// - Parameters:
  ///   - backend: the backend that does the work.
  ///   - runCount: the runs that succeed.
  ///   - prefix: what the names of the graphs begin with whose runs are counted.
  public init(
    _ backend: any Backend = TestBackend.standard.backend, after runCount: Int,
    runsOf prefix: String
  ) {
    self.backend = backend
    self.prefix = prefix
    runsLeft = Mutex(runCount)
  }

  /// The backend's.
  public var name: String { backend.name }

  /// Whether its device has failed.
  public var hasFailed: Bool { runsLeft.withLock { $0 <= 0 } }

  /// Lets its device work again for a number of runs.
  public func repair(for runCount: Int) { runsLeft.withLock { $0 = runCount } }

  /// The backend's.
  public func devices() throws(EngineError) -> [Device] { try backend.devices() }

  /// The backend's.
  public func device(named name: String) throws(EngineError) -> Device? {
    try backend.device(named: name)
  }

  /// The backend's.
  public func fingerprint(
    of device: Device, _ options: EngineOptions
  ) throws(EngineError) -> [String] { try backend.fingerprint(of: device, options) }

  /// The backend's.
  public func canPersist(on device: Device) -> Bool { backend.canPersist(on: device) }

  /// The backend's graph, which fails with this device.
  public func compile(
    _ module: GraphModule, on device: Device, _ options: EngineOptions
  ) throws(EngineError) -> any CompiledGraph {
    FailingGraph(
      try backend.compile(module, on: device, options), self,
      isCounted: module.name.hasPrefix(prefix))
  }

  /// The backend's graph, which fails with this device.
  public func load(
    _ file: EngineFile, of module: GraphModule, on device: Device, _ options: EngineOptions
  ) throws(EngineError) -> any CompiledGraph {
    FailingGraph(
      try backend.load(file, of: module, on: device, options), self,
      isCounted: module.name.hasPrefix(prefix))
  }

  fileprivate func check(isCounted: Bool) throws(EngineError) {
    let isFailed = runsLeft.withLock { left in
      defer { if isCounted, left > 0 { left -= 1 } }
      return left <= 0
    }
    if isFailed { throw EngineError(code: .runFailed, message: "the device was unplugged") }
  }
}

private final class FailingGraph: CompiledGraph {
  let graph: any CompiledGraph
  let device: FailingBackend
  let isCounted: Bool

  init(_ graph: any CompiledGraph, _ device: FailingBackend, isCounted: Bool) {
    (self.graph, self.device, self.isCounted) = (graph, device, isCounted)
  }

  func portCounts() throws(EngineError) -> (inputs: Int, outputs: Int) { try graph.portCounts() }

  func bind(
    inputs: [PortMemory], outputs: [PortMemory]
  ) throws(EngineError) -> any BoundGraph {
    BoundFailingGraph(
      try graph.bind(inputs: inputs, outputs: outputs), device, isCounted: isCounted)
  }

  func export(to path: String) throws(EngineError) { try graph.export(to: path) }

  func property(_ key: String) throws(EngineError) -> String { try graph.property(key) }
}

private final class BoundFailingGraph: BoundGraph {
  let bound: any BoundGraph
  let device: FailingBackend
  let isCounted: Bool

  init(_ bound: any BoundGraph, _ device: FailingBackend, isCounted: Bool) {
    (self.bound, self.device, self.isCounted) = (bound, device, isCounted)
  }

  func run() throws(EngineError) {
    try device.check(isCounted: isCounted)
    try bound.run()
  }
}
