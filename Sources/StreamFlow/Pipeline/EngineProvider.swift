internal import FlowEngine
internal import FlowGraph
internal import FlowModels

/// Makes the programs of a generator or a live stream, and records them.
struct EngineProvider: Sendable {
  /// The engines of the device.
  private(set) var store: EngineStore
  /// The programs that were given.
  let log = EngineLog()
  /// The engines of parts that another device has.
  private let placement: DevicePlacement
  /// What the text encoders of several devices have made of prompts, if they share it.
  let texts: SharedTexts?

  init(
    _ store: EngineStore, placement: DevicePlacement = DevicePlacement(), texts: SharedTexts? = nil
  ) {
    self.store = store
    self.placement = placement
    self.texts = texts
  }

  /// The same for a part, which may have a device of its own.
  func placed(_ part: DevicePlacement.Part) -> EngineProvider {
    var placed = self
    placed.store = placement[part] ?? store
    return placed
  }

  /// A program of a graph; see ``EngineStore/program(for:log:)``.
  func program(for module: GraphModule) async throws -> sending Program {
    try await store.program(for: module, log: log)
  }

  /// Persists large engines; see ``EngineStore/persist()``.
  func persist() async {
    await store.persist()
    for part in DevicePlacement.Part.allCases { await placement[part]?.persist() }
  }
}
