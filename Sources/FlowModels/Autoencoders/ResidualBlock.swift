internal import FlowCore
internal import FlowGraph

extension Value {
  /// A residual block of two convolutions (`ResnetBlock2D`).
  ///
  /// - Parameters:
  ///   - layer: its weights: `norm1`, `conv1`, `norm2`, `conv2`, and if the widths differ
  ///     `conv_shortcut`.
  ///   - groups: the groups of its normalizations.
  ///   - epsilon: the epsilon of its normalizations.
  ///   - shift: the time embedding that is added between the convolutions, `[rows, width]`, if any.
  func residualBlock(
    _ layer: WeightScope, groups: Int, epsilon: Float, shift: Value? = nil
  ) throws(GraphError) -> Value {
    var hidden = try groupNorm(layer["norm1"], groups: groups, epsilon: epsilon).silu()
      .convolution(layer["conv1"], padding: 1)
    if let shift {
      hidden = try hidden + shift.reshaped([shift.shape[0], shift.shape[1], 1, 1])
    }
    hidden = try hidden.groupNorm(layer["norm2"], groups: groups, epsilon: epsilon).silu()
      .convolution(layer["conv2"], padding: 1)
    guard layer.has("conv_shortcut.weight") else { return try self + hidden }
    return try convolution(layer["conv_shortcut"]) + hidden
  }

  /// The pixels of an image as tokens: `[rows, channels, height, width]` to `[rows, positions,
  /// channels]`.
  func flattenedToTokens() throws(GraphError) -> Value {
    try reshaped([shape[0], shape[1], shape[2] * shape[3]]).transposed([0, 2, 1])
  }

  /// Tokens as the pixels of an image, the inverse of ``flattenedToTokens()``.
  func unflattened(height: Int, width: Int) throws(GraphError) -> Value {
    try transposed([0, 2, 1]).reshaped([shape[0], shape[2], height, width])
  }
}
