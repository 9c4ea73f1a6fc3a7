internal import FlowEngine
internal import FlowGraph
internal import FlowModels

/// Builds the programs of a network: a checkpoint at one size.
struct NetworkBlueprint: Sendable {
  let checkpoint: Checkpoint
  /// The latents' height.
  let height: Int
  /// The latents' width.
  let width: Int
  /// The inputs that are computed before the ticks.
  let precomputed: Set<PortName>
  let provider: EngineProvider

  /// - Parameters:
  ///   - height: the latents' height.
  ///   - width: the latents' width.
  ///   - precomputed: the inputs that are computed before the ticks; nil for those that are worth
  ///     it.
  ///   - provider: makes programs.
  init(
    _ checkpoint: Checkpoint, height: Int, width: Int, precomputed: Set<PortName>? = nil,
    provider: EngineProvider
  ) throws {
    self.checkpoint = checkpoint
    self.height = height
    self.width = width
    self.provider = provider
    self.precomputed =
      try precomputed
      ?? Set(
        checkpoint.family.precomputedInputs(
          BatchShape(rows: 1, height: height, width: width, tokens: checkpoint.tokenCount),
          only: nil, weights: checkpoint.networkWeights.root
        ).map(\.name))
  }

  /// The number of latent pixels, as a measure of the image's size.
  var places: Int {
    RowChoice.places(height: height, width: width, factor: checkpoint.autoencoder.factor)
  }

  /// Whether the rows of a tick run one after another, each on a program of one row.
  var runsSingly: Bool {
    RowChoice.runsSingly(
      latentPlaces: places, weightsByteCount: checkpoint.networkWeights.byteCount)
  }

  /// The graph of a batch size and a structure.
  func module(rows: Int, structure: NetworkStructure) throws -> GraphModule {
    let shape = BatchShape(
      rows: rows, height: height, width: width, tokens: structure.chunks * checkpoint.tokenCount,
      references: structure.references, skippableLayers: Set(structure.skippableLayers))
    let adapters = structure.adapters.map { checkpoint.adapters[$0].adapter }
    // An adapter that reads the text and the timestep needs them as they are, not tables of them.
    let precomputed = checkpoint.readsConditioning(structure) ? [] : self.precomputed
    let graph = try checkpoint.family.network(
      shape, precomputed: precomputed, adapters: adapters,
      weights: checkpoint.networkWeights.root)
    return GraphModule(
      graph,
      weightsIdentity: checkpoint.networkWeights.identity
        + adapters.flatMap { $0.weightStores.flatMap(\.identity) })
  }

  /// Computes an input once for each prompt, if it is precomputed.
  func textTable() async throws -> sending TextTable? {
    guard let (name, module) = try module(of: .text) else { return nil }
    return TextTable(try await provider.program(for: module), input: name)
  }

  /// Computes an input once for each timestep, if it is precomputed.
  func timeTable() async throws -> sending TimeTable? {
    guard let (name, module) = try module(of: .timestep) else { return nil }
    return TimeTable(try await provider.program(for: module), input: name)
  }

  private func module(
    of dependency: PrecomputedInput.Dependency
  ) throws -> (name: PortName, module: GraphModule)? {
    guard !precomputed.isEmpty else { return nil }
    let weights = checkpoint.networkWeights
    let shape = BatchShape(rows: 1, height: height, width: width, tokens: checkpoint.tokenCount)
    let input = try checkpoint.family.precomputedInputs(
      shape, only: precomputed, weights: weights.root
    ).first { $0.dependency == dependency }
    return input.map { ($0.name, GraphModule($0.graph, weightsIdentity: weights.identity)) }
  }
}
