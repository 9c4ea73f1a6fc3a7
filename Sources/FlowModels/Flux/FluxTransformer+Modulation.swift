internal import FlowCore
internal import FlowGraph

extension FluxTransformer {
  /// The layers that read only the timestep, the pooled text and the guidance, in the order of the
  /// table: shifts, scales and gates of every block.
  ///
  /// They contain 27 % of FLUX's weights.
  func modulationLayers() -> [WeightScope] {
    let doubles = (0..<configuration.doubleBlockCount).flatMap { index in
      let block = weights["transformer_blocks"][index]
      return [block["norm1"]["linear"], block["norm1_context"]["linear"]]
    }
    let singles = (0..<configuration.singleBlockCount).map { index in
      weights["single_transformer_blocks"][index]["norm"]["linear"]
    }
    return doubles + singles + [weights["norm_out"]["linear"]]
  }

  /// Builds the graph that computes the table of a timestep: `timestep`, `pooled` and, if the
  /// network reads it, `guidance`, one row, to `table`.
  func modulationGraph() throws(GraphError) -> Graph {
    let graph = Graph(name: "flux_modulation")
    let time = try modulation(rows: 1, isRead: false, in: graph)
    graph.output(try time.table(of: modulationLayers()), as: "table")
    return graph
  }

  /// The modulation of the tokens, read from a table or computed in the graph.
  func modulation(rows: Int, isRead: Bool, in graph: Graph) throws(GraphError) -> LayerTable {
    guard isRead else {
      return .input(
        try timeEmbedding(rows: rows) { (name, shape) in graph.input(name, shape: shape) })
    }
    let places = try LayerTable.places(of: modulationLayers())
    return .computed(
      graph.input(Self.modulationInput, shape: [rows, LayerTable.width(of: places)]),
      places: places)
  }

  /// Time, guidance and pooled text as every modulation reads them, the activation already applied
  /// (`CombinedTimestepGuidanceTextProjEmbeddings`).
  ///
  /// - Parameters:
  ///   - rows: the batch rows.
  ///   - input: gives what it is made of, by the name and shape of an input.
  func timeEmbedding(
    rows: Int, reading input: (PortName, Shape) throws(GraphError) -> Value
  ) throws(GraphError) -> Value {
    let layers = weights["time_text_embed"]
    let timestep = try input("timestep", [rows])
    let pooled = try input("pooled", [rows, configuration.pooledWidth])
    var embedding = try embedded(sinusoids(timestep), layers["timestep_embedder"])
    if configuration.readsGuidance {
      let guidance = try input("guidance", [rows]) * 1000
      embedding = try embedding + embedded(sinusoids(guidance), layers["guidance_embedder"])
    }
    return try (embedding + embedded(pooled, layers["text_embedder"])).silu()
  }

  private func embedded(_ input: Value, _ layer: WeightScope) throws(GraphError) -> Value {
    try input.linear(layer["linear_1"]).silu().linear(layer["linear_2"])
  }

  private func sinusoids(_ numbers: Value) throws(GraphError) -> Value {
    try numbers.timeEmbedding(
      width: FluxTransformerConfiguration.sinusoidCount, cosineFirst: true, frequencyShift: 0)
  }
}
