internal import FlowCore
internal import FlowGraph

/// The network of Z-Image: `ZImageTransformer2DModel` (Cai et al., 2025, arXiv:2511.22699), one
/// sequence of image tokens and text tokens.
struct ZImageTransformer {
  let configuration: ZImageTransformerConfiguration
  let weights: WeightScope

  /// The input that is read from a table where the modulation is computed before.
  static let modulationInput: PortName = "modulation"

  /// The patches in the names of the layers that read and write them: 2 x 2 pixels of one image.
  static let patch = "2-1"
  private static let side = ZImageTransformerConfiguration.patchSide

  /// Writes the network down: `sample` `[rows, channels, height, width]`, `timestep` (a thousand
  /// times sigma) or `modulation`, `hidden` `[rows, tokens, width]`, `count` and `realCount`, to
  /// `output`, the velocity.
  ///
  /// A row's text is its first `realCount` tokens; from there to `count`, a multiple of 32, stands
  /// padding that the network was trained with; what is behind is as if it were not there.
  ///
  /// The network was trained to read `1 - sigma` and to give data less noise; both are turned here.
  ///
  /// - Parameters:
  ///   - size: the shapes; a multiple of 32 tokens.
  ///   - readsModulation: whether the modulation is read from a table.
  ///   - adapters: what is attached.
  /// - Throws: a `GraphError` for weights or sizes that do not fit.
  func graph(
    _ size: BatchShape, readsModulation: Bool = false, adapters: [any NetworkAdapter] = []
  ) throws(GraphError) -> Graph {
    try check(size)
    let rows = size.rows
    let name = "zimage_\(rows)x\(size.height)x\(size.width)_\(size.tokens)"
    let graph = Graph(name: readsModulation ? "\(name)_tables" : name)
    let hooks = try NetworkHooks(graph, adapters: adapters)
    let sample = graph.input(
      "sample", shape: [rows, configuration.channels, size.height, size.width])
    let modulation =
      try readsModulation ? table(rows: rows, in: graph) : modulation(rows, in: graph)
    let hidden = graph.input("hidden", shape: [rows, size.tokens, configuration.textWidth])
    let count = graph.input("count", shape: [rows])
    let realCount = graph.input("realCount", shape: [rows])

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

  // MARK: - Tokens

  /// The latents' patches, padded to a multiple of 32 by a token that was learned.
  private func imageTokens(_ sample: Value) throws(GraphError) -> Value {
    let patches = try sample.patches(side: Self.side, order: .channelsLast)
      .linear(weights["all_x_embedder"][Self.patch])
    let (rows, count) = (patches.shape[0], patches.shape[1])
    let missing = Self.padded(count) - count
    guard missing > 0 else { return patches }
    let zeros = sample.graph.constant(
      [Float](repeating: 0, count: rows * missing), shape: [rows, missing, 1])
    return try .concatenated([patches, zeros + padding("x_pad_token", in: sample.graph)], axis: 1)
  }

  /// The text's states as tokens; from a row's count on, a token that was learned instead.
  private func textTokens(_ hidden: Value, count: Value) throws(GraphError) -> Value {
    let layers = weights["cap_embedder"]
    let tokens = try hidden.rmsNorm(layers[0], epsilon: configuration.normEpsilon)
      .linear(layers[1])
    let isText = try Self.isWithin(count, tokens: hidden.shape[1])
    return try tokens * isText
      + padding("cap_pad_token", in: hidden.graph) * (isText * -1 + 1)
  }

  /// 1 for each row's tokens before its count, 0 for the others, `[rows, tokens, 1]`.
  private static func isWithin(_ count: Value, tokens: Int) throws(GraphError) -> Value {
    let indices = count.graph.constant((0..<tokens).map(Float.init), shape: [1, tokens, 1])
    return try (count.reshaped([count.shape[0], 1, 1]) - indices).clamped(to: 0...1)
  }

  /// What hides the tokens behind each row's text from all others, `[rows, 1, 1, tokens]`.
  private func mask(count: Value, image: Value, text: Value) throws(GraphError) -> Value {
    let (rows, tokens) = (text.shape[0], text.shape[1])
    let hides = try (Self.isWithin(count, tokens: tokens) + -1) * Float.greatestFiniteMagnitude
    let zeros = count.graph.constant(
      [Float](repeating: 0, count: rows * image.shape[1]), shape: [rows, 1, 1, image.shape[1]])
    return try .concatenated([zeros, hides.reshaped([rows, 1, 1, tokens])], axis: 3)
  }

  private func padding(_ name: String, in graph: Graph) throws(GraphError) -> Value {
    try weights.value(name, in: graph).reshaped([1, 1, configuration.width])
  }

  private static func padded(_ count: Int) -> Int {
    let multiple = ZImageTransformerConfiguration.tokenMultiple
    return (count + multiple - 1) / multiple * multiple
  }

  /// The positions of all tokens, the image's first, `[rows, 1, tokens, width]`: text counts from 1
  /// on, its padding too; the image stands at the number behind, which differs by row; the image's
  /// padding at 0.
  private func rotary(_ size: BatchShape, count: Value) throws(GraphError) -> RotaryTable {
    func table(_ positions: [[Int]]) -> RotaryTable {
      RotaryTable(
        positions: positions, axes: configuration.axes, theta: configuration.theta,
        in: count.graph)
    }
    let (height, width) = (size.height / Self.side, size.width / Self.side)
    let image = (0..<height * width).map { [0, $0 / width, $0 % width] }
    let padding = [[Int]](repeating: [0, 0, 0], count: Self.padded(image.count) - image.count)
    let known = table(image + padding + (0..<size.tokens).map { [$0 + 1, 0, 0] })
    // The first axis of the image, for each length that a text may have: a row's own is chosen.
    let multiple = ZImageTransformerConfiguration.tokenMultiple
    let lengths = stride(from: multiple, through: size.tokens, by: multiple).map { $0 }
    let starts = table(lengths.map { [$0 + 1, 0, 0] })
    let difference =
      try
      (count.reshaped([size.rows, 1])
      - count.graph.constant(lengths.map(Float.init), shape: [1, lengths.count]))
      * (1 / Float(multiple))
    let isOwn = try (difference + 1).clamped(to: 0...1) * (difference * -1 + 1).clamped(to: 0...1)
    let headWidth = configuration.axes.reduce(0, +)
    let isOfImage =
      try count.graph.constant(
        (0..<known.cosine.shape[0]).map { $0 < image.count ? 1 : 0 },
        shape: [known.cosine.shape[0], 1])
      * count.graph.constant(
        (0..<headWidth).map { $0 < configuration.axes[0] ? 1 : 0 }, shape: [1, headWidth])
    func chosen(_ known: Value, _ starts: Value) throws(GraphError) -> Value {
      let own = try isOwn.matrixProduct(starts).reshaped([size.rows, 1, 1, headWidth])
      return try known * (isOfImage * -1 + 1) + own * isOfImage
    }
    return RotaryTable(
      cosine: try chosen(known.cosine, starts.cosine), sine: try chosen(known.sine, starts.sine))
  }

  private func output(_ image: Value, modulation: LayerTable) throws(GraphError) -> Value {
    let layer = weights["all_final_layer"][Self.patch]
    let scale = try modulation.modulation(of: outputLayer, into: 1)[0]
    return try (image.layerNorm(epsilon: 1e-6) * (scale + 1)).linear(layer["linear"]) * -1
  }

  // MARK: - Modulation

  /// What blocks and output layer read of the time.
  private struct Modulation {
    let blocks: LayerTable
    let output: LayerTable
  }

  private var blockLayers: [WeightScope] {
    let refiners = (0..<configuration.refinerCount).map { weights["noise_refiner"][$0] }
    let blocks = (0..<configuration.layerCount).map { weights["layers"][$0] }
    return (refiners + blocks).map { $0["adaLN_modulation"][0] }
  }

  /// The layers that read the time alone.
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

  /// Writes down what makes the modulation of a time: `timestep`, one row, to `table`.
  ///
  /// - Throws: a `GraphError` for weights that do not fit.
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
