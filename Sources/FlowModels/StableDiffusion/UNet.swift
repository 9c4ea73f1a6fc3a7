internal import FlowCore
internal import FlowGraph

/// The network of Stable Diffusion 1, 2 and XL and their relatives: `UNet2DConditionModel`.
///
/// Rombach et al., 2022 (arXiv:2112.10752); layer names and order as in diffusers.
struct UNet {
  let configuration: UNetConfiguration
  let weights: WeightScope

  /// Values that are computed once, before the ticks, instead of at every tick.
  struct Tables: OptionSet, Hashable {
    let rawValue: Int
    /// The keys and values of cross-attention, for each prompt.
    static let text = Tables(rawValue: 1)
    /// The shifts of the residual blocks, for each timestep.
    static let time = Tables(rawValue: 2)

    /// The inputs of the network that are read from tables.
    static let (textInput, timeInput): (PortName, PortName) = ("texts", "times")
  }

  /// Builds the network's graph, with the output `output`.
  ///
  /// Its inputs are `sample`; `timestep`, or `times` if the time projections are read from a table;
  /// `hidden`, the text's hidden states, or `texts`; and unless times are read from a table, the
  /// other inputs of the time embedding: `pooled` and `sizes`, and `guidance` (a thousand times the
  /// scale less one), if the network reads them.
  ///
  /// - Parameters:
  ///   - size: the shapes.
  ///   - tables: the values that are read from tables.
  ///   - adapters: the adapters.
  func graph(
    _ size: BatchShape, tables: Tables = [], adapters: [any NetworkAdapter] = []
  ) throws(GraphError) -> Graph {
    let rows = size.rows
    let name = "unet_\(rows)x\(size.height)x\(size.width)_\(size.tokens)"
    let graph = Graph(name: tables.isEmpty ? name : "\(name)_tables")
    let sample = graph.input(
      "sample", shape: [rows, configuration.outputChannels, size.height, size.width])
    var entered = sample
    if configuration.readsMaskedImage {
      let masked = graph.input(
        "masked_image",
        shape: [rows, 1 + configuration.outputChannels, size.height, size.width])
      entered = try .concatenated([sample, masked], axis: 1)
    }
    let places = try tables.contains(.time) ? LayerTable.places(of: timeLayers()) : [:]
    let time =
      tables.contains(.time)
      ? graph.input(Tables.timeInput, shape: [rows, LayerTable.width(of: places)])
      : graph.input("timestep", shape: [rows])
    let text = try text(size, tables, in: graph)
    let times =
      try tables.contains(.time)
      ? LayerTable.computed(time, places: places)
      : .input(
        timeEmbedding(time) { (name, shape) in graph.input(name, shape: shape) })
    let hooks = try NetworkHooks(graph, rows: rows, adapters: adapters)
    let output = try callAsFunction(
      entered, time: times, text: Text(states: text), hooks: hooks)
    try output.expect(sample.shape, of: "the network")
    graph.output(output, as: "output")
    return graph
  }

  private func text(
    _ size: BatchShape, _ tables: Tables, in graph: Graph
  ) throws(GraphError) -> LayerTable {
    guard tables.contains(.text) else {
      return .input(hiddenStates(rows: size.rows, tokens: size.tokens, in: graph))
    }
    let places = try LayerTable.places(of: textLayers())
    return .computed(
      graph.input(Tables.textInput, shape: [size.rows, size.tokens, LayerTable.width(of: places)]),
      places: places)
  }

  /// Builds the graph of a text's table: from `hidden`, one row, to `table`.
  func textTableGraph(tokens: Int) throws(GraphError) -> Graph {
    let graph = Graph(name: "unet_texts_\(tokens)")
    let hidden = LayerTable.input(hiddenStates(rows: 1, tokens: tokens, in: graph))
    graph.output(try hidden.table(of: textLayers()), as: "table")
    return graph
  }

  /// Builds the graph of a timestep's table: from `timestep` and the other inputs of the time
  /// embedding, one row, to `table`.
  func timeTableGraph() throws(GraphError) -> Graph {
    let graph = Graph(name: "unet_times")
    let time = LayerTable.input(
      try timeEmbedding(graph.input("timestep", shape: [1])) { (name, shape) in
        graph.input(name, shape: shape)
      })
    graph.output(try time.table(of: timeLayers()), as: "table")
    return graph
  }

  private func hiddenStates(rows: Int, tokens: Int, in graph: Graph) -> Value {
    graph.input("hidden", shape: [rows, tokens, configuration.conditioningWidth])
  }

  /// The network's output for a sample.
  func callAsFunction(
    _ sample: Value, time: LayerTable, text: Text, hooks: NetworkHooks
  ) throws(GraphError) -> Value {
    let entered = try hooks(.input, sample.convolution(weights["conv_in"], padding: 1))
    var (hidden, skips) = try encoded(entered, time: time, text: text, hooks: hooks)
    for index in skips.indices { skips[index] = try hooks(.skip(index), skips[index]) }
    for index in configuration.levels.indices.reversed() {
      try up(index, &hidden, skips: &skips, time: time, text: text, hooks: hooks)
    }
    return try norm(hidden, weights["conv_norm_out"]).silu()
      .convolution(weights["conv_out"], padding: 1)
  }

  /// The down blocks and the middle block, from the sample after the first layer.
  ///
  /// Returns the middle block's output and the skip connections, the sample first.
  func encoded(
    _ entered: Value, time: LayerTable, text: Text, hooks: NetworkHooks
  ) throws(GraphError) -> (middle: Value, skips: [Value]) {
    var hidden = entered
    var skips = [hidden]
    for index in configuration.levels.indices {
      try down(index, &hidden, skips: &skips, time: time, text: text, hooks: hooks)
    }
    // A ControlNet's output is added without a middle block too.
    let middle =
      try configuration.hasMiddle
      ? middle(hidden, time: time, text: text, hooks: hooks) : hidden
    return (try hooks(.middle, middle), skips)
  }

  /// The time embedding as every residual block reads it, after its activation.
  ///
  /// - Parameters:
  ///   - timestep: the timesteps, `[rows]`.
  ///   - input: the other inputs, by name and shape.
  func timeEmbedding(
    _ timestep: Value, reading input: (PortName, Shape) throws(GraphError) -> Value
  ) throws(GraphError) -> Value {
    let rows = timestep.shape[0]
    let addition = try configuration.addition.map { (addition) throws(GraphError) in
      let pooled =
        try addition.pooledWidth > 0 ? input("pooled", [rows, addition.pooledWidth]) : nil
      let sizes = try input("sizes", [rows, addition.sizeCount])
      return (pooled: pooled, sizes: sizes, timeWidth: addition.timeWidth)
    }
    let layer = weights["time_embedding"]
    var time = try sinusoids(timestep, width: configuration.levels[0].channels)
    if let width = configuration.guidanceWidth {
      // `get_guidance_scale_embedding` of diffusers' latent consistency pipeline.
      let scale = try input("guidance", [rows])
        .timeEmbedding(width: width, cosineFirst: false, frequencyShift: 1)
      time = try time + scale.linear(layer["cond_proj"])
    }
    var embedding = try time.linear(layer["linear_1"]).silu().linear(layer["linear_2"])
    if let addition {
      let layer = weights["add_embedding"]
      let count = addition.sizes.shape[1]
      let places = try sinusoids(
        addition.sizes.reshaped([rows * count]), width: addition.timeWidth
      ).reshaped([rows, count * addition.timeWidth])
      let inputs = try addition.pooled.map { (pooled) throws(GraphError) in
        try Value.concatenated([pooled, places], axis: 1)
      }
      embedding =
        try embedding
        + (inputs ?? places).linear(layer["linear_1"]).silu().linear(layer["linear_2"])
    }
    return try embedding.silu()
  }

  private func sinusoids(_ numbers: Value, width: Int) throws(GraphError) -> Value {
    try numbers.timeEmbedding(
      width: width, cosineFirst: configuration.cosineFirst,
      frequencyShift: configuration.frequencyShift)
  }

  private func down(
    _ index: Int, _ hidden: inout Value, skips: inout [Value], time: LayerTable, text: Text,
    hooks: NetworkHooks
  ) throws(GraphError) {
    let level = configuration.levels[index]
    let block = weights["down_blocks"][index]
    for layer in 0..<level.layerCount {
      hidden = try residual(hidden, block["resnets"][layer], time: time)
      if level.attendsDown {
        hidden = try transformer(
          hidden, block["attentions"][layer], level, text, first: level.firstDown,
          keySize: keySize(of: hidden, level: index), hooks: hooks)
      }
      if level.attendsDown, layer == level.layerCount - 1 {
        hidden = try hooks(.downBlock(index), hidden)
      }
      skips.append(hidden)
    }
    if index < configuration.levels.count - 1 {
      let padding = Value.Padding(before: configuration.downsamplePadding, after: 1)
      hidden = try hidden.convolution(
        block["downsamplers"][0]["conv"], stride: 2, padding: padding)
      skips.append(hidden)
    }
    if !level.attendsDown {
      // As in diffusers, where the in-place addition changes the skip connection too.
      hidden = try hooks(.downBlock(index), hidden)
      skips[skips.count - 1] = hidden
    }
  }

  private func middle(
    _ hidden: Value, time: LayerTable, text: Text, hooks: NetworkHooks
  ) throws(GraphError) -> Value {
    let level = configuration.levels[configuration.levels.count - 1]
    let block = weights["mid_block"]
    var hidden = try residual(hidden, block["resnets"][0], time: time)
    guard configuration.attendsInMiddle else { return hidden }
    for layer in 0..<(configuration.compact?.middleLayerCount ?? 1) {
      hidden = try transformer(hidden, block["attentions"][layer], level, text, hooks: hooks)
      hidden = try residual(hidden, block["resnets"][layer + 1], time: time)
    }
    return hidden
  }

  private func up(
    _ index: Int, _ hidden: inout Value, skips: inout [Value], time: LayerTable, text: Text,
    hooks: NetworkHooks
  ) throws(GraphError) {
    let level = configuration.levels[index]
    let block = weights["up_blocks"][configuration.levels.count - 1 - index]
    for layer in 0...level.layerCount {
      hidden = try .concatenated([hidden, skips.removeLast()], axis: 1)
      hidden = try residual(hidden, block["resnets"][layer], time: time)
      if level.attendsUp {
        hidden = try transformer(
          hidden, block["attentions"][layer], level, text, first: level.firstUp,
          keySize: keySize(of: hidden, level: index), hooks: hooks)
      }
    }
    guard index > 0, let skip = skips.last else { return }
    // To the size of the skip connection, so that odd sizes are preserved.
    hidden = try hidden.upsampledNearest(height: skip.shape[2], width: skip.shape[3])
      .convolution(block["upsamplers"][0]["conv"], padding: 1)
  }
}
