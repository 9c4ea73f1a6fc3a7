internal import FlowCore
internal import FlowGraph

/// The network of FLUX.1: `FluxTransformer2DModel`.
///
/// A transformer over one sequence of text and image (Esser et al., 2024, arXiv:2403.03206) whose
/// later blocks compute attention and feed-forward in parallel (Dehghani et al., 2023,
/// arXiv:2302.05442); layer names and order as in diffusers.
struct FluxTransformer {
  let configuration: FluxTransformerConfiguration
  let weights: WeightScope

  /// The precomputed input: the modulation of the tokens at a timestep.
  static let modulationInput: PortName = "modulation"

  /// The input for the latents of a reference image, numbered from 0 (FLUX.1 Kontext; Labs et al.,
  /// 2025, arXiv:2506.15742).
  static func referenceInput(_ index: Int) -> PortName { PortName("reference\(index)") }

  /// Builds the network, with the output `output`, `[rows, channels, height, width]`.
  ///
  /// It reads the latents `sample`, of the same shape, and those of the reference images;
  /// `masked_image`, if the network reads one (``MaskedImageLayout/pixels``); `hidden`,
  /// the text's hidden states, `[rows, tokens, width]`; and `modulation`, or its inputs:
  /// `timestep`, which is a thousand times sigma, `pooled`, and `guidance`, the scale, if the
  /// network reads it.
  ///
  /// - Parameters:
  ///   - size: the shapes; height and width of latents are even.
  ///   - references: the sizes of the reference images' latents; each row has its own images.
  ///   - readsModulation: whether the modulation is read from a table.
  ///   - adapters: the attached adapters.
  /// - Throws: a `GraphError` for weights that do not match.
  func graph(
    _ size: BatchShape, references: [LatentSize] = [], readsModulation: Bool = false,
    adapters: [any NetworkAdapter] = []
  ) throws(GraphError) -> Graph {
    let rows = size.rows
    let sizes = references.map { "_\($0.height)x\($0.width)" }.joined()
    let name = "flux_\(rows)x\(size.height)x\(size.width)_\(size.tokens)\(sizes)"
    let graph = Graph(name: readsModulation ? "\(name)_tables" : name)
    let latents = LatentSize(height: size.height, width: size.width)
    let sample = input("sample", rows: rows, latents, in: graph)
    var image = sample
    if configuration.maskChannels > 0 {
      let masked = graph.input(
        "masked_image",
        shape: [
          rows, configuration.channels + configuration.maskChannels, size.height, size.width,
        ])
      image = try .concatenated([sample, masked], axis: 1)
    }
    let time = try modulation(rows: rows, isRead: readsModulation, in: graph)
    let hidden = graph.input("hidden", shape: [rows, size.tokens, configuration.textWidth])
    let references = references.enumerated().map { index, size in
      input(Self.referenceInput(index), rows: rows, size, in: graph)
    }
    var hooks = try NetworkHooks(graph, rows: rows, adapters: adapters)
    let output = try callAsFunction(
      image, references: references, text: hidden, time, hooks: &hooks)
    try output.expect(sample.shape, of: "the network")
    graph.output(output, as: "output")
    return graph
  }

  private func input(
    _ name: PortName, rows: Int, _ size: LatentSize, in graph: Graph
  ) -> Value {
    graph.input(name, shape: [rows, configuration.channels, size.height, size.width])
  }

  private func callAsFunction(
    _ sample: Value, references: [Value], text: Value, _ time: LayerTable,
    hooks: inout NetworkHooks
  ) throws(GraphError) -> Value {
    let side = FluxTransformerConfiguration.patchSide
    let images = [sample] + references
    let sizes = try images.map { image throws(GraphError) in
      try LatentSize(of: image).patches(side: side)
    }
    let packed = try images.map { image throws(GraphError) in
      try image.patches(side: side, order: .channelsFirst)
    }
    var streams = Streams(
      text: try text.linear(weights["context_embedder"]),
      image: try Value.concatenated(packed, axis: 1).linear(weights["x_embedder"]))
    let positions = positions(textCount: text.shape[1], images: sizes)
    let rotary = RotaryTable(
      positions: positions, axes: configuration.rotaryAxes,
      theta: FluxTransformerConfiguration.theta, in: sample.graph)
    let imagePlaces = 0..<sizes[0].count
    for index in 0..<configuration.doubleBlockCount {
      streams = try doubleBlock(
        streams, weights["transformer_blocks"][index], time, rotary)
      streams.image = try hooks(.block(index), streams.image, tokens: imagePlaces)
    }
    let textCount = text.shape[1]
    let imageInBoth = textCount..<textCount + sizes[0].count
    var tokens = try Value.concatenated([streams.text, streams.image], axis: 1)
    for index in 0..<configuration.singleBlockCount {
      tokens = try singleBlock(
        tokens, weights["single_transformer_blocks"][index], time, rotary)
      tokens = try hooks(
        .block(configuration.doubleBlockCount + index), tokens, tokens: imageInBoth)
    }
    let image = try tokens.sliced(
      axis: 1, from: imageInBoth.lowerBound, to: imageInBoth.upperBound)
    // The order here is scale, shift; everywhere else it is shift, scale.
    let final = try time.modulation(of: weights["norm_out"]["linear"], into: 2)
    return try norm(image).modulated(scale: final[0], shift: final[1])
      .linear(weights["proj_out"])
      .joinedPatches(
        side: side, order: .channelsFirst, height: sample.shape[2], width: sample.shape[3])
  }

  /// Where each token is: which image it is of, its row and its column; a text is at the origin.
  func positions(textCount: Int, images: [LatentSize]) -> [[Int]] {
    [[Int]](repeating: [0, 0, 0], count: textCount)
      + images.enumerated().flatMap { index, image in
        (0..<image.height).flatMap { row in (0..<image.width).map { [index, row, $0] } }
      }
  }
}
