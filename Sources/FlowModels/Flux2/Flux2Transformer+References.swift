internal import FlowCore
internal import FlowGraph

/// Reference images whose keys and values are computed once (FLUX.2 klein KV): their tokens attend to
/// each other alone, at timestep 0, so that nothing of them depends on text, image or step.
extension Flux2Transformer {
  /// Builds the graph from reference images, one row of `[1, channels, height, width]` each, and
  /// `timestep`, which is 0, to `references`, the keys and values of all layers.
  ///
  /// The timestep is an input because OpenVINO fails to fold a constant into products with low-bit
  /// weights.
  ///
  /// `references` is `[1, 2 * layers * heads, tokens, head width]`: of each layer, in the order of the
  /// network, the rotated keys, followed by the values.
  ///
  /// - Parameter references: the sizes of the images' latents.
  /// - Throws: a `GraphError` for weights that do not match.
  func referenceTable(of references: [LatentSize]) throws(GraphError) -> Graph {
    let sizes = references.map { "_\($0.height)x\($0.width)" }.joined()
    let graph = Graph(name: "flux2_references\(sizes)")
    var images: [Value] = []
    for (index, size) in references.enumerated() {
      images.append(
        try graph.input(
          Self.referenceInput(index), shape: [1, configuration.channels, size.height, size.width]
        ).flattenedToTokens())
    }
    let modulation = try modulation(1, in: graph)
    let rotary = rotary(textCount: 0, images: references, first: 1, in: graph)
    var tokens = try Value.concatenated(images, axis: 1).linear(weights["x_embedder"])
    var table: [Value] = []
    for index in 0..<configuration.layerCount {
      let made = try referenceBlock(
        tokens, weights["transformer_blocks"][index], rotary: rotary, modulation: modulation)
      tokens = made.tokens
      table += [made.own.key, made.own.value]
    }
    for index in 0..<configuration.singleLayerCount {
      let made = try singleBlock(
        tokens, weights["single_transformer_blocks"][index], rotary: rotary,
        modulation: modulation)
      tokens = made.tokens
      table += [made.own.key, made.own.value]
    }
    graph.output(try .concatenated(table, axis: 1), as: "references")
    return graph
  }

  /// The input `references` of a network: the keys and values of a layer by its number.
  func referenceTable(
    rows: Int, _ references: [LatentSize], in graph: Graph
  ) throws(GraphError) -> (Int) throws(GraphError) -> KeysAndValues {
    let heads = configuration.headCount
    let layers = configuration.layerCount + configuration.singleLayerCount
    let table = graph.input(
      "references",
      shape: [
        rows, 2 * layers * heads, references.reduce(0) { $0 + $1.count },
        configuration.width / heads,
      ])
    return { (layer) throws(GraphError) in
      let start = 2 * layer * heads
      return KeysAndValues(
        key: try table.sliced(axis: 1, from: start, to: start + heads),
        value: try table.sliced(axis: 1, from: start + heads, to: start + 2 * heads))
    }
  }
}
