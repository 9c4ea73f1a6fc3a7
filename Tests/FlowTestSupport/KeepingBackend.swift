import FlowEngine
import FlowGraph
import Synchronization

/// A backend that keeps what it compiled or loaded: a store that looks for an engine again finds it
/// in memory, though nobody had a program of it in between.
///
/// What came first goes first, where there is too much.
final class KeepingBackend: Backend {
  private struct Kept {
    let engine: any CompiledGraph
    /// Keeps the weights mapped.
    let module: GraphModule
  }

  private let backend: any Backend
  private let byteCount: Int
  private let kept = Mutex<[Kept]>([])

  /// - Parameters:
  ///   - backend: the backend that does the work.
  ///   - byteCount: the maximum bytes of weights of the engines that are kept.
  init(_ backend: any Backend, byteCount: Int) {
    (self.backend, self.byteCount) = (backend, byteCount)
  }

  var name: String { backend.name }

  func devices() throws(EngineError) -> [Device] { try backend.devices() }

  func device(named name: String) throws(EngineError) -> Device? {
    try backend.device(named: name)
  }

  func fingerprint(
    of device: Device, _ options: EngineOptions
  ) throws(EngineError) -> [String] { try backend.fingerprint(of: device, options) }

  func canPersist(on device: Device) -> Bool { backend.canPersist(on: device) }

  func compile(
    _ module: GraphModule, on device: Device, _ options: EngineOptions
  ) throws(EngineError) -> any CompiledGraph {
    keep(try backend.compile(module, on: device, options), of: module)
  }

  func load(
    _ file: EngineFile, of module: GraphModule, on device: Device, _ options: EngineOptions
  ) throws(EngineError) -> any CompiledGraph {
    keep(try backend.load(file, of: module, on: device, options), of: module)
  }

  private func keep(
    _ engine: any CompiledGraph, of module: GraphModule
  ) -> any CompiledGraph {
    kept.withLock { kept in
      kept.append(Kept(engine: engine, module: module))
      var sum = kept.reduce(0) { $0 + $1.module.weightsByteCount }
      while sum > byteCount, kept.count > 1 {
        sum -= kept.removeFirst().module.weightsByteCount
      }
    }
    return engine
  }
}
