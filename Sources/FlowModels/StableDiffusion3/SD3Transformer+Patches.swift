internal import FlowCore
internal import FlowGraph

extension SD3Transformer {
  /// Latents as tokens with position embeddings (`PatchEmbed`): `[rows, channels, height, width]`
  /// to `[rows, tokens, width]`, row by row.
  func patches(of sample: Value) throws(GraphError) -> Value {
    let size = configuration.patchSize
    let patches = try LatentSize(of: sample).patches(side: size)
    let tokens = try sample.convolution(weights["pos_embed"]["proj"], stride: size)
      .flattenedToTokens()
    return try tokens + positions(of: patches, in: sample.graph)
  }

  /// The center of the table of positions, `[tokens, width]`.
  ///
  /// The whole table can be 0.9 GB of float32 (384 x 384 x 1536); only the required rows are read.
  private func positions(of patches: LatentSize, in graph: Graph) throws(GraphError) -> Value {
    let side = configuration.tableSize
    let (rows, columns) = (patches.height, patches.width)
    guard rows <= side, columns <= side else {
      let size = configuration.patchSize
      throw GraphError(
        code: .shapeMismatch,
        message: "latents of \(columns * size) x \(rows * size) are larger than the network's "
          + "positions, \(side * size) x \(side * size) (pos_embed_max_size); choose a smaller "
          + "image"
      )
    }
    let (top, left) = ((side - rows) / 2, (side - columns) / 2)
    let layer = weights["pos_embed"]
    let parts = try (top..<top + rows).map { row throws(GraphError) in
      let start = row * side + left
      return try layer.value(
        "pos_embed", rows: start..<start + columns, of: [side * side, configuration.width],
        in: graph)
    }
    return try .concatenated(parts, axis: 0)
  }
}
