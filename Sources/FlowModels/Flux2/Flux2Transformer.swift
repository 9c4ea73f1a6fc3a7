internal import FlowCore
internal import FlowGraph

/// The network of FLUX.2: `Flux2Transformer2DModel` (Black Forest Labs, 2025).
///
/// Image and text pass through blocks of two streams, followed by blocks of one; each kind of block
/// shares one modulation. Reference images are tokens after the image's.
struct Flux2Transformer {
  let configuration: Flux2TransformerConfiguration
  let weights: WeightScope

  /// The input that replaces the timestep if the modulation is precomputed.
  static let modulationInput: PortName = "modulation"

  /// The distance of reference images from each other, and of the first from the image, on the
  /// first axis of the positions.
  private static let referenceDistance = 10

  /// The input of a reference image, `[rows, channels, height, width]`.
  static func referenceInput(_ index: Int) -> PortName { PortName("reference\(index)") }

  /// Builds the network: `sample` `[rows, channels, height, width]`, `timestep` (a thousand times
  /// sigma) and, if read, `guidance` (the scale), or `modulation` instead of both, `hidden` `[rows,
  /// tokens, width]`, and the reference images, to `output`, the velocity.
  ///
  /// - Parameters:
  ///   - size: the shapes.
  ///   - references: the sizes of the reference images' latents; each row has its own images.
  ///   - cachesReferences: whether their keys and values are read, as `references`, in place of the
  ///     latents (``referenceTable(of:)``).
  ///   - readsModulation: whether the modulation is read from a table.
  ///   - adapters: the attached adapters.
  /// - Throws: a `GraphError` for weights that do not match.
  func graph(
    _ size: BatchShape, references: [LatentSize] = [], cachesReferences: Bool = false,
    readsModulation: Bool = false, adapters: [any NetworkAdapter] = []
  ) throws(GraphError) -> Graph {
    let rows = size.rows
    let sizes = references.map { "_\($0.height)x\($0.width)" }.joined()
    let name = "flux2_\(rows)x\(size.height)x\(size.width)_\(size.tokens)\(sizes)"
    let graph = Graph(
      name: name + (cachesReferences ? "_kv" : "") + (readsModulation ? "_tables" : ""))
    func latents(_ name: PortName, _ size: LatentSize) throws(GraphError) -> Value {
      try graph.input(name, shape: [rows, configuration.channels, size.height, size.width])
        .flattenedToTokens()
    }
    let latentSize = LatentSize(height: size.height, width: size.width)
    let sample = try latents("sample", latentSize)
    let modulation =
      try readsModulation ? table(rows: rows, in: graph) : modulation(rows, in: graph)
    let hidden = graph.input("hidden", shape: [rows, size.tokens, configuration.textWidth])
    var images = [sample]
    let table =
      cachesReferences && !references.isEmpty
      ? try referenceTable(rows: rows, references, in: graph) : nil
    let tokenReferences = cachesReferences ? [] : references
    for (index, size) in tokenReferences.enumerated() {
      images.append(try latents(Self.referenceInput(index), size))
    }
    let hooks = try NetworkHooks(graph, rows: rows, adapters: adapters)

    var image = try Value.concatenated(images, axis: 1).linear(weights["x_embedder"])
    var text = try hidden.linear(weights["context_embedder"])
    let rotary = rotary(textCount: size.tokens, images: [latentSize] + tokenReferences, in: graph)
    for index in 0..<configuration.layerCount {
      let block = weights["transformer_blocks"][index]
      (image, text) = try doubleBlock(
        image: image, text: text, block, rotary: rotary, modulation: modulation,
        cached: table?(index))
      image = try hooks(.block(index), image, tokens: 0..<latentSize.count)
    }
    var tokens = try Value.concatenated([text, image], axis: 1)
    let imagePart = size.tokens..<size.tokens + latentSize.count
    for index in 0..<configuration.singleLayerCount {
      let block = weights["single_transformer_blocks"][index]
      let changed = try singleBlock(
        tokens, block, rotary: rotary, modulation: modulation,
        cached: table?(configuration.layerCount + index)
      ).tokens
      tokens = try hooks(
        .block(configuration.layerCount + index), changed, tokens: imagePart)
    }
    let velocity = try output(
      tokens.sliced(axis: 1, from: imagePart.lowerBound, to: imagePart.upperBound),
      modulation: modulation)
    graph.output(try velocity.unflattened(height: size.height, width: size.width), as: "output")
    return graph
  }

  /// The positions of text, image and references, in this order.
  ///
  /// - Parameter first: the number of the first image; that of an image to make is 0.
  func rotary(
    textCount: Int, images: [LatentSize], first: Int = 0, in graph: Graph
  ) -> RotaryTable {
    var positions = (0..<textCount).map { [0, 0, 0, $0] }
    for (index, image) in zip(first..., images) {
      positions += (0..<image.count).map {
        [Self.referenceDistance * index, $0 / image.width, $0 % image.width, 0]
      }
    }
    return RotaryTable(
      positions: positions, axes: configuration.axes, theta: configuration.theta, in: graph)
  }

  private func output(_ image: Value, modulation: LayerTable) throws(GraphError) -> Value {
    let parts = try modulation.modulation(of: weights["norm_out"]["linear"], into: 2)
    return try image.layerNorm(epsilon: configuration.epsilon)
      .modulated(scale: parts[0], shift: parts[1])
      .linear(weights["proj_out"])
  }

  // MARK: - Modulation

  /// The layers that read only the timestep.
  var timeLayers: [WeightScope] {
    [
      weights["double_stream_modulation_img"]["linear"],
      weights["double_stream_modulation_txt"]["linear"],
      weights["single_stream_modulation"]["linear"], weights["norm_out"]["linear"],
    ]
  }

  /// The embedding of the timestep and, if read, the guidance scale.
  ///
  func modulation(_ rows: Int, in graph: Graph) throws(GraphError) -> LayerTable {
    let layers = weights["time_guidance_embed"]
    func embedding(_ number: Value, _ layer: WeightScope) throws(GraphError) -> Value {
      try number.timeEmbedding(
        width: configuration.timeWidth, cosineFirst: true, frequencyShift: 0
      ).linear(layer["linear_1"]).silu().linear(layer["linear_2"])
    }
    var time = try embedding(graph.input("timestep", shape: [rows]), layers["timestep_embedder"])
    if configuration.readsGuidance {
      let scale = try graph.input("guidance", shape: [rows]) * 1000
      time = try time + embedding(scale, layers["guidance_embedder"])
    }
    return .input(try time.silu())
  }

  private func table(rows: Int, in graph: Graph) throws(GraphError) -> LayerTable {
    let places = try LayerTable.places(of: timeLayers)
    return .computed(
      graph.input(Self.modulationInput, shape: [rows, LayerTable.width(of: places)]), places: places
    )
  }

  /// Builds the graph of the modulation at a timestep: `timestep` and, if read, `guidance`, one
  /// row, to `table`.
  ///
  /// - Throws: a `GraphError` for weights that do not match.
  func modulationGraph() throws(GraphError) -> Graph {
    let graph = Graph(name: "flux2_modulation")
    graph.output(try modulation(1, in: graph).table(of: timeLayers), as: "table")
    return graph
  }
}
