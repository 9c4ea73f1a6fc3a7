internal import FlowCore
internal import FlowGraph

/// A ControlNet of FLUX.1: `FluxControlNetModel`.
///
/// A smaller number of the network's blocks reads the sample with the control image added to its
/// tokens; the output of each is added after one or more blocks of the network.
struct FluxControlNet: ImageAdapter {
  let name: String
  let configuration: FluxControlNetConfiguration
  private let network: FluxTransformerConfiguration
  private let mode: Int?
  private let factor: Int
  private let store: WeightStore

  init(
    _ file: ControlNetFile, fitting network: FluxTransformerConfiguration,
    _ context: ControlNetContext
  ) throws {
    configuration = try FluxControlNetConfiguration(file.configuration)
    try context.refuseGuessing()
    mode = try configuration.mode(context)
    try configuration.check(fits: network, context)
    name = context.name
    factor = context.factor
    self.network = network
    store = context.prepared(try configuration.weights(file.weights))
  }

  var weightStores: [WeightStore] { [store] }
  var readsConditioning: Bool { true }
  var scaleCount: Int { 1 }
  var imageSpace: ImageSpace {
    configuration.hint == nil ? .latents(isShifted: true) : .pixels
  }
  private var weights: WeightScope { store.root[name] }
  private var tokens: PortName { PortName("\(name).tokens") }

  func imageSize(for size: PixelSize) -> PixelSize { size }

  func attach(to hooks: inout NetworkHooks) throws(GraphError) {
    let graph = hooks.graph
    let layers = configuration.transformer
    let copy = FluxTransformer(configuration: layers, weights: weights)
    let side = FluxTransformerConfiguration.patchSide
    let sample = try hooks.networkInput("sample")
    let rows = hooks.rows
    let size = try LatentSize(of: sample).patches(side: side)
    let inputs = hooks
    let time = LayerTable.input(
      try copy.timeEmbedding(rows: rows) { (name, shape) throws(GraphError) in
        try inputs.networkInput(name, shape: shape)
      })
    let control = graph.input(tokens, shape: [rows, size.count, layers.width])
    var text = try hooks.networkInput("hidden").linear(weights["context_embedder"])
    if let mode = try modeToken(rows: rows, in: graph) {
      text = try .concatenated([mode, text], axis: 1)
    }
    let packed = try sample.patches(side: side, order: .channelsFirst)
    var streams = FluxTransformer.Streams(
      text: text, image: try packed.linear(weights["x_embedder"]) + control)
    let textCount = text.shape[1]
    let rotary = RotaryTable(
      positions: copy.positions(textCount: textCount, images: [size]), axes: layers.rotaryAxes,
      theta: FluxTransformerConfiguration.theta, in: graph)
    var doubles: [Value] = []
    for index in 0..<layers.doubleBlockCount {
      streams = try copy.doubleBlock(streams, weights["transformer_blocks"][index], time, rotary)
      doubles.append(streams.image)
    }
    var singles: [Value] = []
    var sequence = try Value.concatenated([streams.text, streams.image], axis: 1)
    for index in 0..<layers.singleBlockCount {
      sequence = try copy.singleBlock(
        sequence, weights["single_transformer_blocks"][index], time, rotary)
      singles.append(try sequence.sliced(axis: 1, from: textCount, to: textCount + size.count))
    }
    let scale = try hooks.scales(of: self, rank: 3)[0]
    try attach(
      doubles, weights["controlnet_blocks"], scale, behind: 0..<network.doubleBlockCount,
      repeats: configuration.hint != nil, to: &hooks)
    let first = network.doubleBlockCount
    try attach(
      singles, weights["controlnet_single_blocks"], scale,
      behind: first..<first + network.singleBlockCount, repeats: false, to: &hooks)
  }

  /// Adds what blocks give behind the network's: each behind a run of as many as it takes to reach
  /// the last one, or one after another from the first on again where it `repeats`.
  private func attach(
    _ samples: [Value], _ layers: WeightScope, _ scale: Value, behind blocks: Range<Int>,
    repeats: Bool, to hooks: inout NetworkHooks
  ) throws(GraphError) {
    guard !samples.isEmpty else { return }
    let residuals = try samples.enumerated().map { index, sample throws(GraphError) in
      try sample.linear(layers[index]) * scale
    }
    let count = residuals.count
    let run = (blocks.count + count - 1) / count
    for (index, block) in blocks.enumerated() {
      let residual = residuals[repeats ? index % count : index / run]
      hooks.attach(at: .block(block)) { value, _ throws(GraphError) in try value + residual }
    }
  }

  /// The token before the text that selects the kind of control image of a union.
  private func modeToken(rows: Int, in graph: Graph) throws(GraphError) -> Value? {
    guard let mode, let count = configuration.modeCount else { return nil }
    let width = configuration.transformer.width
    let token = try weights["controlnet_mode_embedder"]
      .value("weight", rows: mode..<mode + 1, of: [count, width], in: graph)
      .reshaped([1, 1, width])
    return try .concatenated([Value](repeating: token, count: rows), axis: 0)
  }

  /// The tokens that are added to the sample's.
  func imageGraph(for size: PixelSize, isUnconditional: Bool) throws(GraphError) -> Graph {
    let graph = Graph(name: "\(name)_tokens_\(size.width)x\(size.height)")
    let patches: Value
    if let hint = configuration.hint {
      let image = try graph.pixels(size) * (2 / 255) + -1
      patches = try image.controlHint(
        weights["input_hint_block"], channels: FluxControlNetConfiguration.Hint.channels
      ).patches(side: hint.patchSide, order: .channelsFirst)
    } else {
      let side = FluxTransformerConfiguration.patchSide
      let latents = graph.input(
        "latents",
        shape: [1, configuration.transformer.channels, size.height / factor, size.width / factor])
      _ = try LatentSize(of: latents).patches(side: side)
      patches = try latents.patches(side: side, order: .channelsFirst)
    }
    graph.output(try patches.linear(weights["controlnet_x_embedder"]), as: tokens)
    return graph
  }

  func scales(_ scale: Float, isUnconditional: Bool) -> [Float] { [scale] }
}
