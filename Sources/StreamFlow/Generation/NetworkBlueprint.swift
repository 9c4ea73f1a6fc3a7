internal import FlowEngine
internal import FlowGraph

/// What engines of a network are made from: a checkpoint at one size.
struct NetworkBlueprint: Sendable {
  let checkpoint: Checkpoint
  /// The latents' height.
  let height: Int
  /// The latents' width.
  let width: Int
  /// What is computed before the ticks.
  let tables: UNet.Tables
  let configuration: EngineConfiguration
  let cache: EngineCache?

  init(
    _ checkpoint: Checkpoint, height: Int, width: Int, tables: UNet.Tables? = nil,
    configuration: EngineConfiguration, cache: EngineCache?
  ) throws {
    self.checkpoint = checkpoint
    self.height = height
    self.width = width
    self.configuration = configuration
    self.cache = cache
    let network = UNet(configuration: checkpoint.unet, weights: checkpoint.unetWeights.root)
    self.tables =
      try tables
      ?? network.worthwhileTables(height: height, width: width, tokens: checkpoint.tokenCount)
  }

  /// The architecture with its weights.
  var network: UNet {
    UNet(configuration: checkpoint.unet, weights: checkpoint.unetWeights.root)
  }

  /// Whether the rows of a tick run one after another, each on an engine of one row.
  var runsSingly: Bool {
    RowChoice.runsSingly(
      latentPlaces: height * width, weightsByteCount: checkpoint.unetWeights.byteCount)
  }

  /// Makes the engine of so many rows, whose conditionings have so many chunks.
  func engine(rows: Int, chunks: Int) throws -> Session {
    try Session(model(rows: rows, chunks: chunks), configuration: configuration, cache: cache)
  }

  /// What that engine is compiled from.
  func model(rows: Int, chunks: Int) throws -> ONNXModel {
    let graph = try network.graph(
      .init(
        rows: rows, height: height, width: width, tokens: chunks * checkpoint.tokenCount,
        tables: tables))
    return ONNXModel(graph, weightsIdentity: checkpoint.unetWeights.identity)
  }

  /// Makes what computes the keys and values of a prompt, where that is done before the ticks.
  func textTable() throws -> TextTable? {
    guard tables.contains(.text) else { return nil }
    return try TextTable(network, checkpoint, configuration: configuration, cache: cache)
  }
}
