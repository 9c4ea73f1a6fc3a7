internal import FlowCore
internal import FlowGraph

extension Value {
  /// Latents as tokens, one for each patch of `side x side` places, row by row.
  ///
  /// `[rows, channels, height, width]` becomes `[rows, tokens, channels * side * side]`; a token's
  /// elements are ordered by channel, then by the row and the column in the patch.
  func packedIntoPatches(of side: Int) throws(GraphError) -> Value {
    let (rows, channels) = (shape[0], shape[1])
    let patches = try LatentSize(height: shape[2], width: shape[3]).patches(of: side)
    return try reshaped([rows, channels, patches.height, side, patches.width, side])
      .transposed([0, 2, 4, 1, 3, 5])
      .reshaped([rows, patches.count, channels * side * side])
  }

  /// Tokens as latents, the reverse of ``packedIntoPatches(of:)``.
  ///
  /// - Parameters:
  ///   - side: the side of a patch.
  ///   - patches: the rows and columns of patches.
  func unpackedFromPatches(of side: Int, _ patches: LatentSize) throws(GraphError) -> Value {
    let (rows, channels) = (shape[0], shape[2] / (side * side))
    return try reshaped([rows, patches.height, patches.width, channels, side, side])
      .transposed([0, 3, 1, 4, 2, 5])
      .reshaped([rows, channels, patches.height * side, patches.width * side])
  }
}
