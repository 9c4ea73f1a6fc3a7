internal import FlowEngine
internal import FlowGraph

/// What the programs of a network are made from: a checkpoint at one size.
struct NetworkBlueprint: Sendable {
  let checkpoint: Checkpoint
  /// The latents' height.
  let height: Int
  /// The latents' width.
  let width: Int
  /// What is computed before the ticks.
  let tables: UNet.Tables
  let provider: EngineProvider

  init(
    _ checkpoint: Checkpoint, height: Int, width: Int, tables: UNet.Tables? = nil,
    provider: EngineProvider
  ) throws {
    self.checkpoint = checkpoint
    self.height = height
    self.width = width
    self.provider = provider
    let network = UNet(configuration: checkpoint.unet, weights: checkpoint.unetWeights.root)
    self.tables =
      try tables
      ?? network.worthwhileTables(height: height, width: width, tokens: checkpoint.tokenCount)
  }

  /// The architecture with its weights.
  var network: UNet {
    UNet(configuration: checkpoint.unet, weights: checkpoint.unetWeights.root)
  }

  /// Whether the rows of a tick run one after another, each on a program of one row.
  var runsSingly: Bool {
    RowChoice.runsSingly(
      latentPlaces: height * width, weightsByteCount: checkpoint.unetWeights.byteCount)
  }

  /// The graph of so many rows, whose conditionings have so many chunks.
  func module(rows: Int, chunks: Int) throws -> GraphModule {
    let graph = try network.graph(
      .init(
        rows: rows, height: height, width: width, tokens: chunks * checkpoint.tokenCount,
        tables: tables))
    return GraphModule(graph, weightsIdentity: checkpoint.unetWeights.identity)
  }

  /// What computes the keys and values of a prompt, where that is done before the ticks.
  func textTable() async throws -> sending TextTable? {
    guard tables.contains(.text) else { return nil }
    let graph = try network.textTableGraph(tokens: checkpoint.tokenCount)
    return TextTable(try await program(of: graph))
  }

  /// What computes the shifts of a time, where that is done before the ticks.
  func timeTable() async throws -> sending TimeTable? {
    guard tables.contains(.time) else { return nil }
    return TimeTable(try await program(of: network.timeTableGraph()))
  }

  private func program(of graph: Graph) async throws -> sending Program {
    let module = GraphModule(graph, weightsIdentity: checkpoint.unetWeights.identity)
    return try await provider.program(for: module)
  }
}
