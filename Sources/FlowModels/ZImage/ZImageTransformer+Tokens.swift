internal import FlowCore
internal import FlowGraph

extension ZImageTransformer {
  /// The latents' patches, padded to a multiple of 32 with a learned token.
  func imageTokens(_ sample: Value) throws(GraphError) -> Value {
    let patches = try sample.patches(side: Self.side, order: .channelsLast)
      .linear(weights["all_x_embedder"][Self.patch])
    let (rows, count) = (patches.shape[0], patches.shape[1])
    let missing = Self.padded(count) - count
    guard missing > 0 else { return patches }
    let zeros = sample.graph.constant(
      [Float](repeating: 0, count: rows * missing), shape: [rows, missing, 1])
    return try .concatenated([patches, zeros + padding("x_pad_token", in: sample.graph)], axis: 1)
  }

  /// The text's states as tokens; from a row's count on, a learned padding token.
  func textTokens(_ hidden: Value, count: Value) throws(GraphError) -> Value {
    let layers = weights["cap_embedder"]
    let tokens = try hidden.rmsNorm(layers[0], epsilon: configuration.normEpsilon)
      .linear(layers[1])
    let isText = try count.isBefore(tokens: hidden.shape[1])
    return try tokens * isText
      + padding("cap_pad_token", in: hidden.graph) * (isText * -1 + 1)
  }

  /// The mask of the tokens after each row's text, `[rows, 1, 1, tokens]`.
  func mask(count: Value, image: Value, text: Value) throws(GraphError) -> Value {
    let rows = text.shape[0]
    let zeros = count.graph.constant(
      [Float](repeating: 0, count: rows * image.shape[1]), shape: [rows, 1, 1, image.shape[1]])
    return try .concatenated([zeros, count.keyMask(tokens: text.shape[1])], axis: 3)
  }

  private func padding(_ name: String, in graph: Graph) throws(GraphError) -> Value {
    try weights.value(name, in: graph).reshaped([1, 1, configuration.width])
  }

  private static func padded(_ count: Int) -> Int {
    let multiple = ZImageTransformerConfiguration.tokenMultiple
    return (count + multiple - 1) / multiple * multiple
  }

  /// The positions of all tokens, the image's first, `[rows, 1, tokens, width]`: text positions
  /// count from 1, including padding; the image follows at the next number, which differs by row;
  /// the image's padding is at 0.
  func rotary(_ size: BatchShape, count: Value) throws(GraphError) -> RotaryTable {
    func table(_ positions: [[Int]]) -> RotaryTable {
      RotaryTable(
        positions: positions, axes: configuration.axes, theta: configuration.theta,
        in: count.graph)
    }
    let (height, width) = (size.height / Self.side, size.width / Self.side)
    let image = (0..<height * width).map { [0, $0 / width, $0 % width] }
    let padding = [[Int]](repeating: [0, 0, 0], count: Self.padded(image.count) - image.count)
    let known = table(image + padding + (0..<size.tokens).map { [$0 + 1, 0, 0] })
    // The first axis of the image for each possible text length; each row's own is selected.
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
}
