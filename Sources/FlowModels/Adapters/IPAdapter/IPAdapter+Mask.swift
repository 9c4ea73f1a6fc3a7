package import FlowCore
package import FlowGraph

extension IPAdapter {
  package var readsMask: Bool { isMasked }

  private var maskInput: PortName { PortName("\(name).mask") }

  /// The levels with cross-attentions, highest resolution first.
  private var levels: [Int] { Set(network.crossAttentions.map(\.level)).sorted() }

  /// Computes the masks of all levels from one mask: from `mask`, 8-bit `[1, height, width]` of the
  /// output's size, 255 where the image acts, to `<name>.mask` of a row.
  ///
  /// Resized by cubic interpolation over four pixels, as in diffusers.
  package func maskGraph(for size: PixelSize) throws(GraphError) -> Graph? {
    guard isMasked else { return nil }
    let graph = Graph(name: "\(name)_mask_\(size)")
    let mask =
      try graph.input("mask", shape: [1, size.height, size.width], type: .uint8)
      .cast(to: .float32).reshaped([1, 1, size.height, size.width]) * (1 / 255)
    let latents = LatentSize(height: size.height / factor, width: size.width / factor)
    let sizes = network.sizes(of: latents)
    let parts = try levels.map { (level) throws(GraphError) in
      try mask.resizedCubically(height: sizes[level].height, width: sizes[level].width)
        .reshaped([1, sizes[level].count])
    }
    graph.output(try .concatenated(parts, axis: 1), as: maskInput)
    return graph
  }

  /// The mask of each level, `[rows, tokens, 1]`, from the input with all levels.
  func masks(_ hooks: NetworkHooks) throws(GraphError) -> [Int: Value] {
    let sizes = network.sizes(of: LatentSize(of: try hooks.networkInput("sample")))
    let count = levels.reduce(0) { $0 + sizes[$1].count }
    let input = hooks.graph.input(maskInput, shape: [hooks.rows, count])
    var masks: [Int: Value] = [:]
    var start = 0
    for level in levels {
      let end = start + sizes[level].count
      masks[level] = try input.sliced(axis: 1, from: start, to: end)
        .reshaped([hooks.rows, end - start, 1])
      start = end
    }
    return masks
  }
}

extension UNetConfiguration {
  /// The size of each level for latents of a size.
  func sizes(of latents: LatentSize) -> [LatentSize] {
    // A convolution of 3 pixels with stride 2, padded by one at the end.
    func halved(_ extent: Int) -> Int { (extent + downsamplePadding + 1 - 3) / 2 + 1 }
    return levels.indices.dropFirst().reduce(into: [latents]) { sizes, _ in
      guard let last = sizes.last else { return }
      sizes.append(LatentSize(height: halved(last.height), width: halved(last.width)))
    }
  }
}
