internal import FlowCore
internal import FlowGraph

/// A ControlNet of Stable Diffusion 3 or 3.5: `SD3ControlNetModel`.
///
/// Blocks like the first ones of the network read the sample with the control image's latents added
/// to its tokens; the output of each is added after one or more blocks of the network.
struct SD3ControlNet: ImageAdapter {
  let name: String
  let configuration: SD3ControlNetConfiguration
  /// The blocks of the network.
  private let blockCount: Int
  /// The tokens for which the last one of the network's text stands.
  private let lastTextTokenCount: Int
  private let factor: Int
  private let store: WeightStore

  init(
    _ file: ControlNetFile, fitting network: SD3TransformerConfiguration,
    _ context: ControlNetContext
  ) throws {
    configuration = try SD3ControlNetConfiguration(file.configuration)
    try context.refuseGuessing()
    try context.refuseMode()
    try configuration.check(fits: network, context)
    name = context.name
    factor = context.factor
    blockCount = network.layerCount
    lastTextTokenCount = network.lastTextTokenCount
    store = context.prepared(try configuration.weights(file.weights))
  }

  var weightStores: [WeightStore] { [store] }
  var readsConditioning: Bool { true }
  var scaleCount: Int { 1 }
  /// A ControlNet that was trained with zero pooled text reads latents without the shift, as in
  /// diffusers' pipeline.
  var imageSpace: ImageSpace { .latents(isShifted: !configuration.zeroesPooledText) }
  private var weights: WeightScope { store.root[name] }
  private var tokens: PortName { PortName("\(name).tokens") }

  func imageSize(for size: PixelSize) -> PixelSize { size }

  func attach(to hooks: inout NetworkHooks) throws(GraphError) {
    let graph = hooks.graph
    var layers = configuration.transformer
    layers.lastTextTokenCount = lastTextTokenCount
    let network = SD3Transformer(configuration: layers, weights: weights, endsWithText: true)
    let sample = try hooks.networkInput("sample")
    let rows = hooks.rows
    let inputs = hooks
    let time = LayerTable.input(
      try network.timeEmbedding(rows: rows) { (name, shape) throws(GraphError) in
        guard name == "pooled", configuration.zeroesPooledText else {
          return try inputs.networkInput(name, shape: shape)
        }
        return graph.constant([Float](repeating: 0, count: shape.elementCount), shape: shape)
      })
    let control = graph.input(
      tokens, shape: [rows, try patches(of: sample).count, layers.width])
    var samples: [Value] = []
    if configuration.readsText {
      var image = try network.patches(of: sample) + control
      var text = try hooks.networkInput("hidden").linear(weights["context_embedder"])
      for index in 0..<layers.layerCount {
        try network.block(index, &image, &text, time: time)
        samples.append(image)
      }
    } else {
      guard let embedded = hooks.embeddedSample else {
        preconditionFailure("the network '\(graph.name)' provides no sample after its first layer")
      }
      var image = try embedded + control
      for index in 0..<layers.layerCount {
        try network.imageBlock(index, &image, time: time)
        samples.append(image)
      }
    }
    let scale = try hooks.scales(of: self, rank: 3)[0]
    let residuals = try samples.enumerated().map { index, sample throws(GraphError) in
      try sample.linear(weights["controlnet_blocks"][index]) * scale
    }
    // Not after the last block, whose text output is unused; in floating point as in diffusers.
    let interval = Double(blockCount) / Double(residuals.count)
    for block in 0..<blockCount - 1 {
      let residual = residuals[Int(Double(block) / interval)]
      hooks.attach(at: .block(block)) { value, _ throws(GraphError) in try value + residual }
    }
  }

  private func patches(of latents: Value) throws(GraphError) -> LatentSize {
    try LatentSize(of: latents).patches(side: configuration.transformer.patchSize)
  }

  /// The tokens that are added to the sample's.
  func imageGraph(for size: PixelSize, isUnconditional: Bool) throws(GraphError) -> Graph {
    let graph = Graph(name: "\(name)_tokens_\(size.width)x\(size.height)")
    let latents = graph.input(
      "latents",
      shape: [1, configuration.transformer.channels, size.height / factor, size.width / factor])
    _ = try patches(of: latents)
    let embedded = try latents.convolution(
      weights["pos_embed_input"]["proj"], stride: configuration.transformer.patchSize)
    graph.output(try embedded.flattenedToTokens(), as: tokens)
    return graph
  }

  func scales(_ scale: Float, isUnconditional: Bool) -> [Float] { [scale] }
}
