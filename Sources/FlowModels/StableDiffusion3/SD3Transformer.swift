internal import FlowCore
internal import FlowGraph

/// The network of Stable Diffusion 3 and 3.5: `SD3Transformer2DModel`.
///
/// Image and text are tokens of two streams with separate weights and joint attention (MMDiT; Esser
/// et al., 2024, arXiv:2403.03206); layer names as in diffusers.
struct SD3Transformer {
  let configuration: SD3TransformerConfiguration
  let weights: WeightScope
  /// The blocks that are skipped, for skip-layer guidance.
  var skippedBlocks: Set<Int> = []
  /// Whether the last block changes the text like all others, as in a ControlNet.
  var endsWithText = false

  /// The precomputed input: the modulation at a timestep.
  static let modulationInput: PortName = "modulation"
  /// The epsilon of every normalization.
  static let epsilon: Float = 1e-6

  /// Builds the network, with the output `output`.
  ///
  /// It reads `sample`, the latents; `timestep`, a thousand times sigma, or `modulation` if it is
  /// precomputed; `hidden`, the text's hidden states; `pooled`, unless modulation is precomputed; and
  /// `skip`, if rows can leave out layers.
  ///
  /// - Parameters:
  ///   - size: the shapes.
  ///   - readsModulation: whether modulation is read from a table.
  ///   - adapters: the attached adapters.
  /// - Throws: a `GraphError` for weights that do not match, and for a size beyond the network's
  ///   positions.
  func graph(
    _ size: BatchShape, readsModulation: Bool = false, adapters: [any NetworkAdapter] = []
  ) throws(GraphError) -> Graph {
    precondition(
      skippedBlocks.allSatisfy((0..<configuration.layerCount).contains),
      "no blocks \(skippedBlocks.sorted()) in \(configuration.layerCount)")
    var name = "sd3_\(size.rows)x\(size.height)x\(size.width)_\(size.tokens)"
    if readsModulation { name += "_modulated" }
    if !skippedBlocks.isEmpty { name += "_skipping\(skippedBlocks.sorted())" }
    if !size.skippableLayers.isEmpty { name += "_skippable\(size.skippableLayers.sorted())" }
    let graph = Graph(name: name)
    let sample = graph.input(
      "sample", shape: [size.rows, configuration.channels, size.height, size.width])
    let time =
      readsModulation
      ? try modulationTable(rows: size.rows, in: graph)
      : .input(
        try timeEmbedding(rows: size.rows) { (name, shape) in graph.input(name, shape: shape) })
    let hidden = graph.input(
      "hidden", shape: [size.rows, size.tokens, configuration.textWidth])
    let patches = try patches(of: sample)
    let hooks = try NetworkHooks(
      graph, rows: size.rows, adapters: adapters, embeddedSample: patches)
    let output = try callAsFunction(
      patches, of: sample, time: time, text: hidden, skips: try skips(size, in: graph),
      hooks: hooks)
    try output.expect(sample.shape, of: "the network")
    graph.output(output, as: "output")
    return graph
  }

  /// Builds the graph that computes the table of a timestep: `timestep` and `pooled`, one row, to
  /// `table`.
  func modulationGraph() throws(GraphError) -> Graph {
    let graph = Graph(name: "sd3_modulation")
    let time = LayerTable.input(
      try timeEmbedding(rows: 1) { (name, shape) in graph.input(name, shape: shape) })
    graph.output(try time.table(of: modulationLayers()), as: "table")
    return graph
  }

  /// The layers that read only the timestep, in the order of the table.
  ///
  /// Those of skipped blocks are included, so that networks with and without them share tables.
  func modulationLayers() -> [WeightScope] {
    (0..<configuration.layerCount).flatMap { index in
      let block = weights["transformer_blocks"][index]
      return [block["norm1"]["linear"], block["norm1_context"]["linear"]]
    } + [weights["norm_out"]["linear"]]
  }

  private func modulationTable(rows: Int, in graph: Graph) throws(GraphError) -> LayerTable {
    let places = try LayerTable.places(of: modulationLayers())
    let table = graph.input(
      Self.modulationInput, shape: [rows, LayerTable.width(of: places)])
    return .computed(table, places: places)
  }

  /// The layers that rows can leave out, and 1 for each row that does not.
  private struct Skips {
    let layers: Set<Int>
    /// `[rows, 1, 1]`.
    let kept: Value
  }

  private func skips(_ size: BatchShape, in graph: Graph) throws(GraphError) -> Skips? {
    guard !size.skippableLayers.isEmpty else { return nil }
    let skipped = try graph.input("skip", shape: [size.rows]).reshaped([size.rows, 1, 1])
    return Skips(layers: size.skippableLayers, kept: try skipped * -1 + 1)
  }

  private func callAsFunction(
    _ patches: Value, of sample: Value, time: LayerTable, text: Value, skips: Skips?,
    hooks: NetworkHooks
  ) throws(GraphError) -> Value {
    var image = try hooks(.input, patches)
    var text = try text.linear(weights["context_embedder"])
    for index in 0..<configuration.layerCount {
      if !skippedBlocks.contains(index) {
        let before = (image: image, text: text)
        try block(index, &image, &text, time: time)
        if let skips, skips.layers.contains(index) {
          image = try before.image + (image - before.image) * skips.kept
          // The last layer does not change the text.
          if index < configuration.layerCount - 1 || endsWithText {
            text = try before.text + (text - before.text) * skips.kept
          }
        }
      }
      image = try hooks(.block(index), image)
    }
    // Here, as in the last block's text, the order is scale, shift.
    let parts = try modulation(of: weights["norm_out"], time, count: 2)
    let output = try image.layerNorm(epsilon: Self.epsilon)
      .modulated(scale: parts[0], shift: parts[1])
      .linear(weights["proj_out"])
    // The output of a token has its channels last, unlike the input.
    return try output.joinedPatches(
      side: configuration.patchSize, order: .channelsLast, height: sample.shape[2],
      width: sample.shape[3])
  }

  /// The time as all layers of modulation read it, its activation already applied.
  ///
  /// - Parameters:
  ///   - rows: the batch rows.
  ///   - input: gives what it is made of, by the name and shape of an input: `timestep`, `pooled`.
  func timeEmbedding(
    rows: Int, reading input: (PortName, Shape) throws(GraphError) -> Value
  ) throws(GraphError) -> Value {
    let layer = weights["time_text_embed"]
    func embedded(_ input: Value, _ layer: WeightScope) throws(GraphError) -> Value {
      try input.linear(layer["linear_1"]).silu().linear(layer["linear_2"])
    }
    let timestep = try input("timestep", [rows])
    let pooled = try input("pooled", [rows, configuration.pooledWidth])
    let sinusoids = try timestep.timeEmbedding(width: 256, cosineFirst: true, frequencyShift: 0)
    return try
      (embedded(sinusoids, layer["timestep_embedder"]) + embedded(pooled, layer["text_embedder"]))
      .silu()
  }

  /// The outputs of a modulation layer, `[rows, 1, width]` each.
  func modulation(
    of norm: WeightScope, _ time: LayerTable, count: Int
  ) throws(GraphError) -> [Value] {
    let layer = norm["linear"]
    let width = try layer.shape(of: "weight")[0]
    guard width == count * configuration.width else {
      throw GraphError(
        code: .shapeMismatch,
        message: "\(layer.path) gives \(width), expected \(count) of \(configuration.width); the "
          + "weights and the configuration do not match")
    }
    return try time.modulation(of: layer, into: count)
  }
}
