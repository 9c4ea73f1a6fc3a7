internal import FlowCore
public import FlowEngine
public import FlowGraph
internal import Foundation
internal import Synchronization

/// A backend in plain Swift: the operators of small float networks, in sequence, on one
/// thread.
///
/// It proves that nothing outside a backend knows of a runtime, and lets stores, queues and
/// schedules be tested without one. It counts what it is asked for.
public final class PlainBackend: Backend {
  /// What it was asked for.
  public struct Counts: Equatable, Sendable {
    /// Graphs compiled.
    public var compiled = 0
    /// Graphs loaded from files.
    public var loaded = 0
    /// The maximum number of concurrent compilations.
    public var atOnce = 0

    /// Creates counts.
    public init(compiled: Int = 0, loaded: Int = 0, atOnce: Int = 0) {
      (self.compiled, self.loaded, self.atOnce) = (compiled, loaded, atOnce)
    }
  }

  /// `plain`.
  public let name = "plain"
  /// What can change results, to be chosen by a test.
  public let version: String
  private let compilationTime: Double
  private let canLoad: Bool
  private let state = Mutex((counts: Counts(), running: 0))

  /// - Parameters:
  ///   - version: a part of the fingerprint.
  ///   - compilationTime: the seconds that a compilation takes.
  ///   - canLoad: whether it accepts files.
  public init(version: String = "1", compilationTime: Double = 0, canLoad: Bool = true) {
    self.canLoad = canLoad
    self.version = version
    self.compilationTime = compilationTime
  }

  /// What it was asked for so far.
  public var counts: Counts { state.withLock { $0.counts } }

  /// `CPU` and `CPU.1`.
  public func devices() throws(EngineError) -> [Device] {
    ["CPU", "CPU.1"].map { Device(backend: name, name: $0) }
  }

  /// One of ``devices()``.
  public func device(named name: String) throws(EngineError) -> Device? {
    try devices().first { $0.name == name }
  }

  /// Its version, the device and the options.
  public func fingerprint(
    of device: Device, _ options: EngineOptions
  ) throws(EngineError) -> [String] { [version, device.name, "\(options)"] }

  /// Always.
  public func canPersist(on device: Device) -> Bool { true }

  /// Takes a graph as it is.
  ///
  /// - Throws: `compilationFailed` for an operator that it does not know.
  public func compile(
    _ module: GraphModule, on device: Device, _ options: EngineOptions
  ) throws(EngineError) -> any CompiledGraph {
    state.withLock {
      $0.counts.compiled += 1
      $0.running += 1
      $0.counts.atOnce = max($0.counts.atOnce, $0.running)
    }
    defer { state.withLock { $0.running -= 1 } }
    Thread.sleep(forTimeInterval: compilationTime)
    if let node = module.nodes.first(where: { !PlainRun.operations.contains($0.operation) }) {
      throw EngineError(
        code: .compilationFailed, message: "\(module.name): no operator \(node.operation)")
    }
    guard module.derived.isEmpty else {
      throw EngineError(
        code: .compilationFailed, message: "\(module.name): no weights in few bits")
    }
    return PlainGraph(module)
  }

  /// Compiles a graph; a file does not contain it.
  public func load(
    _ file: EngineFile, of module: GraphModule, on device: Device, _ options: EngineOptions
  ) throws(EngineError) -> any CompiledGraph {
    state.withLock { $0.counts.loaded += 1 }
    guard canLoad else {
      throw EngineError(code: .compilationFailed, message: "\(module.name): not accepted")
    }
    return PlainGraph(module)
  }
}

private final class PlainGraph: CompiledGraph {
  let module: GraphModule

  init(_ module: GraphModule) { self.module = module }

  func portCounts() throws(EngineError) -> (inputs: Int, outputs: Int) {
    (module.inputs.count, module.outputs.count)
  }

  func bind(
    inputs: [PortMemory], outputs: [PortMemory]
  ) throws(EngineError) -> any BoundGraph {
    BoundPlainGraph(module: module, inputs: inputs, outputs: outputs)
  }

  func export(to path: String) throws(EngineError) {
    do { try Data("plain".utf8).write(to: URL(filePath: path)) } catch {
      throw EngineError(code: .cacheUnusable, message: "\(error)")
    }
  }

  func property(_ key: String) throws(EngineError) -> String {
    throw EngineError(code: .runFailed, message: "no property \(key)")
  }
}

private final class BoundPlainGraph: BoundGraph {
  let module: GraphModule
  let inputs: [PortMemory]
  let outputs: [PortMemory]

  init(module: GraphModule, inputs: [PortMemory], outputs: [PortMemory]) {
    (self.module, self.inputs, self.outputs) = (module, inputs, outputs)
  }

  func run() throws(EngineError) {
    var run = PlainRun()
    for memory in inputs {
      run.values[memory.port.name.description] = memory.withElements(of: Float.self) {
        (span: Span<Float>) in
        PlainRun.Tensor(
          shape: memory.port.shape.dimensions, elements: span.indices.map { span[$0] })
      }
    }
    for constant in module.constants { run.add(constant) }
    do {
      for weight in module.weights {
        run.values[weight.name] = PlainRun.Tensor(
          shape: weight.shape.dimensions, elements: try weight.floats())
      }
    } catch { throw EngineError(code: .runFailed, message: "\(error)") }
    for node in module.nodes { run.evaluate(node) }
    for memory in outputs {
      guard let value = run.values[memory.port.name.description] else { continue }
      memory.withElements(of: Float.self) { (span: inout MutableSpan<Float>) in
        for index in span.indices { span[index] = value.elements[index] }
      }
    }
  }
}
