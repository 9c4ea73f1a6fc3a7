public import FlowEngine
public import FlowGraph
internal import Foundation

extension EngineCache {
  /// The engines that all tests share, and the processes that tests start.
  public static let ofTests = EngineCache(
    folder: FileManager.default.temporaryDirectory.appending(path: "streamflow-test-engines").path)
}

extension EngineStore {
  /// The engines of the CPU that all tests share, kept while there is room.
  public static let ofTests = EngineStore(
    backends: [KeepingBackend(TestBackend.standard.backend, byteCount: 160 << 20)], cache: .ofTests)

  /// A store of its own, with a cache of its own or none.
  public static func fresh(
    device: DeviceName = .cpu, options: EngineOptions = EngineOptions(), cache: EngineCache? = nil
  ) -> EngineStore {
    EngineStore(
      backends: [TestBackend.standard.backend], device: device, options: options, cache: cache)
  }
}

extension Program {
  /// A program of a graph, made without a store by who may block.
  public static func compiled(
    _ module: GraphModule, on backend: TestBackend = .standard
  ) throws -> Program {
    try Program(
      compiling: module, with: backend.backend,
      on: Device(backend: backend.backend.name, name: "CPU"), EngineOptions())
  }

  /// A program of a graph, of the engines that all tests share.
  public static func shared(_ module: GraphModule) async throws -> sending Program {
    try await EngineStore.ofTests.program(for: module)
  }

  /// Lends the elements of an input by its place, to be written.
  public func withInput<Element: BitwiseCopyable>(
    _ index: Int, as type: Element.Type, _ body: (inout MutableSpan<Element>) throws -> Void
  ) rethrows { try withInput(inputs[index].name, as: type, body) }

  /// Lends the elements of an output by its place.
  public func read<Element: BitwiseCopyable, Result>(
    _ index: Int, as type: Element.Type, _ body: (Span<Element>) throws -> Result
  ) rethrows -> Result { try read(outputs[index].name, as: type, body) }
}
