internal import FlowCore
internal import FlowGraph

/// The network of Z-Image: `ZImageTransformer2DModel` (Z-Image Team, 2025, arXiv:2511.22699), one
/// sequence of image and text tokens.
struct ZImageTransformer {
  let configuration: ZImageTransformerConfiguration
  let weights: WeightScope

  /// The input that replaces the timestep if the modulation is precomputed.
  static let modulationInput: PortName = "modulation"

  /// The patch size in the names of the input and output layers: 2 x 2 pixels of one image.
  static let patch = "2-1"
  /// The side of a patch.
  static let side = ZImageTransformerConfiguration.patchSide

  /// Builds the network: `sample` `[rows, channels, height, width]`, `timestep` (a thousand times
  /// sigma) or `modulation`, `hidden` `[rows, tokens, width]`, `count` and `realCount`, to
  /// `output`, the velocity.
  ///
  /// A row's text is its first `realCount` tokens. Padding that the network was trained with
  /// follows up to `count`, a multiple of 32. Later tokens are masked.
  ///
  /// The network was trained to read `1 - sigma` and to predict data minus noise; both are inverted
  /// here.
  ///
  /// - Parameters:
  ///   - size: the shapes; a multiple of 32 tokens.
  ///   - readsModulation: whether the modulation is read from a table.
  ///   - adapters: the attached adapters.
  /// - Throws: a `GraphError` for weights or sizes that do not match.
  func graph(
    _ size: BatchShape, readsModulation: Bool = false, adapters: [any NetworkAdapter] = []
  ) throws(GraphError) -> Graph {
    try check(size)
    let rows = size.rows
    let name = "zimage_\(rows)x\(size.height)x\(size.width)_\(size.tokens)"
    let graph = Graph(name: readsModulation ? "\(name)_tables" : name)
    let sample = graph.input(
      "sample", shape: [rows, configuration.channels, size.height, size.width])
    let modulation =
      try readsModulation ? table(rows: rows, in: graph) : modulation(rows, in: graph)
    let hidden = graph.input("hidden", shape: [rows, size.tokens, configuration.textWidth])
    let count = graph.input("count", shape: [rows])
    let realCount = graph.input("realCount", shape: [rows])
    let hooks = try NetworkHooks(graph, rows: rows, adapters: adapters)

    var (image, text) = (try imageTokens(sample), try textTokens(hidden, count: realCount))
    let mask = try mask(count: count, image: image, text: text)
    let rotary = try rotary(size, count: count)
    let (imagePart, textPart) = (
      0..<image.shape[1], image.shape[1]..<image.shape[1] + text.shape[1]
    )
    let (imageRotary, textRotary) = (try rotary.tokens(imagePart), try rotary.tokens(textPart))
    let textMask = try mask.sliced(axis: 3, from: textPart.lowerBound, to: textPart.upperBound)
    for index in 0..<configuration.refinerCount {
      image = try block(
        image, weights["noise_refiner"][index], rotary: imageRotary, modulation: modulation.blocks)
      text = try block(
        text, weights["context_refiner"][index], rotary: textRotary, mask: textMask)
    }
    let imageCount = size.height * size.width / (Self.side * Self.side)
    var tokens = try Value.concatenated([image, text], axis: 1)
    for index in 0..<configuration.layerCount {
      let changed = try block(
        tokens, weights["layers"][index], rotary: rotary, mask: mask,
        modulation: modulation.blocks)
      tokens = try hooks(.block(index), changed, tokens: 0..<imageCount)
    }
    let velocity = try output(
      tokens.sliced(axis: 1, from: 0, to: imageCount), modulation: modulation.output)
    graph.output(
      try velocity.joinedPatches(
        side: Self.side, order: .channelsLast, height: size.height, width: size.width),
      as: "output")
    return graph
  }

  private func check(_ size: BatchShape) throws(GraphError) {
    func refuse(_ problem: String) -> GraphError {
      GraphError(code: .shapeMismatch, message: "the network of Z-Image \(problem)")
    }
    let multiple = ZImageTransformerConfiguration.tokenMultiple
    let lengths = configuration.axisLengths
    guard size.height.isMultiple(of: Self.side), size.width.isMultiple(of: Self.side) else {
      throw refuse(
        "takes latents whose sides are multiples of \(Self.side), got "
          + "\(size.height) x \(size.width)")
    }
    guard size.tokens > 0, size.tokens.isMultiple(of: multiple), size.tokens + 1 < lengths[0]
    else {
      throw refuse(
        "takes a text of a multiple of \(multiple) tokens below \(lengths[0]) (axes_lens), got "
          + "\(size.tokens)")
    }
    guard size.height / Self.side <= lengths[1], size.width / Self.side <= lengths[2] else {
      throw refuse(
        "takes latents of up to \(lengths[1] * Self.side) x \(lengths[2] * Self.side) "
          + "(axes_lens), got \(size.height) x \(size.width)")
    }
  }

  private func output(_ image: Value, modulation: LayerTable) throws(GraphError) -> Value {
    let layer = weights["all_final_layer"][Self.patch]
    let scale = try modulation.modulation(of: outputLayer, into: 1)[0]
    return try (image.layerNorm(epsilon: 1e-6) * (scale + 1)).linear(layer["linear"]) * -1
  }

  // MARK: - Modulation

  /// The modulation of blocks and output layer.
  private struct Modulation {
    let blocks: LayerTable
    let output: LayerTable
  }

  private var blockLayers: [WeightScope] {
    let refiners = (0..<configuration.refinerCount).map { weights["noise_refiner"][$0] }
    let blocks = (0..<configuration.layerCount).map { weights["layers"][$0] }
    return (refiners + blocks).map { $0["adaLN_modulation"][0] }
  }

  /// The layers that read only the timestep.
  var timeLayers: [WeightScope] { blockLayers + [outputLayer] }

  private var outputLayer: WeightScope {
    weights["all_final_layer"][Self.patch]["adaLN_modulation"][1]
  }

  private func modulation(_ rows: Int, in graph: Graph) throws(GraphError) -> Modulation {
    let sigma = try graph.input("timestep", shape: [rows]) * 0.001
    let time = try ((sigma * -1 + 1) * configuration.timeScale)
      .timeEmbedding(width: 256, cosineFirst: true, frequencyShift: 0)
      .linear(weights["t_embedder"]["mlp"][0]).silu().linear(weights["t_embedder"]["mlp"][2])
    return Modulation(blocks: .input(time), output: .input(try time.silu()))
  }

  private func table(rows: Int, in graph: Graph) throws(GraphError) -> Modulation {
    let places = try LayerTable.places(of: timeLayers)
    let table = LayerTable.computed(
      graph.input(Self.modulationInput, shape: [rows, LayerTable.width(of: places)]), places: places
    )
    return Modulation(blocks: table, output: table)
  }

  /// Builds the graph of the modulation at a timestep: `timestep`, one row, to `table`.
  ///
  /// - Throws: a `GraphError` for weights that do not match.
  func modulationGraph() throws(GraphError) -> Graph {
    let graph = Graph(name: "zimage_modulation")
    let modulation = try modulation(1, in: graph)
    graph.output(
      try .concatenated(
        [modulation.blocks.table(of: blockLayers), modulation.output.table(of: [outputLayer])],
        axis: -1), as: "table")
    return graph
  }
}
