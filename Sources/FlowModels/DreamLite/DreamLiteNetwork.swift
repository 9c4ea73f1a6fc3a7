internal import FlowCore
internal import FlowGraph

/// The network of DreamLite (arXiv:2603.28713): a UNet over two adjacent images, the output and the
/// input of an edit, which is empty for text to image.
struct DreamLiteNetwork {
  let configuration: DreamLiteConfiguration
  let weights: WeightScope

  /// Builds the network's graph: `sample`, `timestep`, `hidden` `[rows, tokens, width]`, the text's
  /// states, `realCount`, the tokens of each row's text, and `sizes` to `output`, the velocity.
  ///
  /// Tokens after a row's text are masked.
  ///
  /// - Parameters:
  ///   - size: the shapes.
  ///   - adapters: the adapters.
  /// - Throws: a `GraphError` for weights that do not match.
  func graph(
    _ size: BatchShape, adapters: [any NetworkAdapter] = []
  ) throws(GraphError) -> Graph {
    let rows = size.rows
    let graph = Graph(name: "dreamlite_\(rows)x\(size.height)x\(size.width)_\(size.tokens)")
    let unet = UNet(configuration: configuration.unet, weights: weights)
    let channels = configuration.unet.outputChannels
    let sample = graph.input("sample", shape: [rows, channels, size.height, size.width])
    let timestep = graph.input("timestep", shape: [rows])
    let hidden = graph.input("hidden", shape: [rows, size.tokens, configuration.textWidth])
    let count = graph.input("realCount", shape: [rows])
    let time = try unet.timeEmbedding(timestep) { (name, shape) in
      graph.input(name, shape: shape)
    }
    let projection = weights["encoder_hid_proj"]
    let text = UNet.Text(
      states: .input(
        try hidden.linear(projection[0]).rmsNorm(projection[1], epsilon: Self.epsilon)),
      mask: try count.keyMask(tokens: size.tokens))
    let hooks = try NetworkHooks(graph, rows: rows, adapters: adapters)
    // The network attends over both images; the empty one is zeros.
    let empty = graph.constant(
      [Float](repeating: 0, count: sample.shape.elementCount), shape: sample.shape)
    let output = try unet(
      .concatenated([sample, empty], axis: 3), time: .input(time), text: text, hooks: hooks
    ).sliced(axis: 3, from: 0, to: size.width)
    try output.expect(sample.shape, of: "the network")
    graph.output(output, as: "output")
    return graph
  }

  /// The epsilon of the text's normalization, which no file specifies.
  private static let epsilon: Float = 1e-5

  /// The layers that always compute in float32: the first and the last convolution, and the layers
  /// that read the timestep or the text.
  func floatLayers() throws(GraphError) -> Set<String> {
    try UNet(configuration: configuration.unet, weights: weights).floatLayers()
      .union([weights["encoder_hid_proj"][0].path])
  }
}
