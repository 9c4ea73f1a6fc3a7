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
  ///   - isSeparable: whether each convolution is a depthwise one followed by a pointwise one
  ///     (`depthwise`, `pointwise`).
  func residualBlock(
    _ layer: WeightScope, groups: Int, epsilon: Float, shift: Value? = nil,
    isSeparable: Bool = false
  ) throws(GraphError) -> Value {
    func convolved(_ hidden: Value, _ layer: WeightScope) throws(GraphError) -> Value {
      guard isSeparable else { return try hidden.convolution(layer, padding: 1) }
      return try hidden.depthwiseConvolution(layer["depthwise"], padding: 1)
        .convolution(layer["pointwise"])
    }
    var hidden = try convolved(
      groupNorm(layer["norm1"], groups: groups, epsilon: epsilon).silu(), layer["conv1"])
    if let shift {
      hidden = try hidden + shift.reshaped([shift.shape[0], shift.shape[1], 1, 1])
    }
    hidden = try convolved(
      hidden.groupNorm(layer["norm2"], groups: groups, epsilon: epsilon).silu(), layer["conv2"])
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
