internal import FlowCore
internal import FlowGraph

/// The order of a patch's elements in the channels of a token.
enum PatchOrder {
  /// Channel, row, column: the order of a convolution's weight.
  case channelsFirst
  /// Row, column, channel.
  case channelsLast
}

extension Value {
  /// Splits latents into square patches as tokens, `[rows, channels, height, width]` to `[rows,
  /// tokens, channels * side * side]`, row by row.
  ///
  /// - Throws: a `GraphError` if the side does not divide height and width.
  func patches(side: Int, order: PatchOrder) throws(GraphError) -> Value {
    let (rows, channels) = (shape[0], shape[1])
    let (height, width) = (shape[2] / side, shape[3] / side)
    return try reshaped([rows, channels, height, side, width, side])
      .transposed(order == .channelsFirst ? [0, 2, 4, 1, 3, 5] : [0, 2, 4, 3, 5, 1])
      .reshaped([rows, height * width, channels * side * side])
  }

  /// Joins tokens to latents, the inverse of ``patches(side:order:)``.
  ///
  /// - Parameters:
  ///   - side: the side of a patch.
  ///   - order: the order of its elements.
  ///   - height: the height in latent pixels.
  ///   - width: the width in latent pixels.
  /// - Throws: a `GraphError` for another number of tokens.
  func joinedPatches(
    side: Int, order: PatchOrder, height: Int, width: Int
  ) throws(GraphError) -> Value {
    let (rows, channels) = (shape[0], shape[2] / (side * side))
    let grid = [rows, height / side, width / side]
    let patch = order == .channelsFirst ? [channels, side, side] : [side, side, channels]
    return try reshaped(Shape(grid + patch))
      .transposed(order == .channelsFirst ? [0, 3, 1, 4, 2, 5] : [0, 5, 1, 3, 2, 4])
      .reshaped([rows, channels, height, width])
  }
}
