internal import FlowEngine
internal import FlowGraph
internal import FlowModels

/// Makes the programs of a generator or a live stream, and records them.
struct EngineProvider: Sendable {
  /// The engines of the device.
  let store: EngineStore
  /// The programs that were given.
  let log = EngineLog()

  init(_ store: EngineStore) { self.store = store }

  /// A program of a graph; see ``EngineStore/program(for:log:)``.
  func program(for module: GraphModule) async throws -> sending Program {
    try await store.program(for: module, log: log)
  }
}
