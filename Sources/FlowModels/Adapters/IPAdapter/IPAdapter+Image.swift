package import FlowCore
package import FlowGraph

extension IPAdapter: ImageAdapter {
  package var weightStores: [WeightStore] { [weights, encoder.weights] }
  package var readsConditioning: Bool { false }
  package var scaleCount: Int { network.crossAttentions.count }
  package var resampling: ImageResampling { .bicubicMiddle }
  package var presets: [String] { Preset.allCases.map(\.rawValue) }

  /// The image encoder's size, for any output size.
  package func imageSize(for size: PixelSize) -> PixelSize { encoder.imageSize }

  /// The keys and values of a reference image, `<name>.table`.
  ///
  /// For the unconditional prediction they are those of a zero embedding (plain), or of the
  /// encoder's output for a zero image, as in diffusers.
  package func imageGraph(
    for size: PixelSize, isUnconditional: Bool
  ) throws(GraphError) -> Graph {
    let graph = Graph(name: isUnconditional ? "\(name)_ip_zeros" : "\(name)_ip")
    let zeros: PortName = "zeros"
    let (side, width) = (encoder.configuration.imageSide, projection.inputWidth)
    let table =
      switch (isUnconditional, projection.readsEmbedding) {
      case (false, _): try table(of: encoder.normalized(graph.pixels(encoder.imageSize)))
      case (true, true): try table(ofEncoded: graph.input(zeros, shape: [1, width]))
      case (true, false): try table(of: graph.input(zeros, shape: [1, 3, side, side]))
      }
    graph.output(table, as: PortName("\(name).table"))
    return graph
  }

  package func scales(_ scale: Float, isUnconditional: Bool) -> [Float] {
    [Float](repeating: scale, count: scaleCount)
  }

  package func scales(
    _ scale: Float, preset: String?, isUnconditional: Bool
  ) throws(ModelError) -> [Float] {
    guard let preset else { return scales(scale, isUnconditional: isUnconditional) }
    guard let blocks = Preset(rawValue: preset)?.blocks(of: network) else {
      throw unknownPreset(preset)
    }
    return try scales(blocks.reduce(into: [:]) { $0[$1] = scale })
  }

  /// Scales by prefixes of the attentions' names, such as `up_blocks.0.attentions.1`; all others
  /// are 0.
  ///
  /// - Throws: `requestInvalid` for a prefix that no attention has.
  package func scales(_ blocks: [String: Float]) throws(ModelError) -> [Float] {
    let names = network.crossAttentions.map { $0.name + "." }
    if let unknown = blocks.keys.sorted().first(where: { block in
      !names.contains { $0.hasPrefix(block.isEmpty ? "" : "\(block).") }
    }) {
      throw ModelError(
        code: .requestInvalid,
        message: "the network has no cross-attention in '\(unknown)'; it has them in "
          + network.attendingBlocks.joined(separator: ", "))
    }
    // The longest prefix takes precedence.
    let order = blocks.sorted { $0.key.count > $1.key.count }
    return names.map { name in
      order.first { name.hasPrefix($0.key.isEmpty ? "" : "\($0.key).") }?.value ?? 0
    }
  }

  /// The cross-attentions that read the reference (Wang et al., 2024, arXiv:2404.02733).
  package enum Preset: String, CaseIterable, Sendable {
    /// All of them.
    case all
    /// Those that determine style.
    case style
    /// Those that determine layout.
    case layout
    /// Both.
    case styleAndLayout = "style+layout"

    /// The blocks, as prefixes of the attentions' names.
    func blocks(of network: UNetConfiguration) -> [String] {
      let isXL = network.addition != nil
      let style = isXL ? "up_blocks.0.attentions.1" : "up_blocks.1"
      let layout = isXL ? "down_blocks.2.attentions.1" : "down_blocks.2"
      return switch self {
      case .all: [""]
      case .style: [style]
      case .layout: [layout]
      case .styleAndLayout: [style, layout]
      }
    }
  }
}

extension UNetConfiguration {
  /// The blocks that attend to the text.
  fileprivate var attendingBlocks: [String] {
    crossAttentions.reduce(into: []) { blocks, attention in
      let parts = attention.name.split(separator: ".")
      let block = parts.prefix(parts[0] == "mid_block" ? 1 : 2).joined(separator: ".")
      if blocks.last != block { blocks.append(block) }
    }
  }
}
