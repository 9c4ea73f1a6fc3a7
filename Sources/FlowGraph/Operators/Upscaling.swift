internal import FlowCore

extension Value {
  /// `x` where it is positive, else `x` times its channel's number in the layer's `weight`: PReLU
  /// (He et al., 2015, arXiv:1502.01852).
  ///
  /// The value is `[rows, channels, height, width]`, the weight `[channels]`.
  public func prelu(_ layer: WeightScope) throws(GraphError) -> Value {
    try expect(rank: 4, for: "PReLU")
    let slopes = try layer.value("weight", count: shape[1], in: graph)
      .reshaped([shape[1], 1, 1])
    return graph.add("PRelu", [self, slopes], shape: shape, layer: layer.path)
  }

  /// `x` where it is positive, else `x` times a slope.
  public func leakyRelu(_ slope: Float) -> Value {
    graph.add("LeakyRelu", [self], shape: shape, attributes: [("alpha", .float(slope))])
  }

  /// Channels become pixels: `[rows, channels * factor * factor, height, width]` to
  /// `[rows, channels, height * factor, width * factor]` (Shi et al., 2016, arXiv:1609.05158).
  public func pixelShuffled(by factor: Int) throws(GraphError) -> Value {
    try expect(rank: 4, for: "pixel shuffle")
    guard factor > 0, shape[1].isMultiple(of: factor * factor) else {
      throw mismatch("pixel shuffle", "cannot make pixels of the channels of \(shape) by \(factor)")
    }
    guard factor > 1 else { return self }
    return graph.add(
      "DepthToSpace", [self],
      shape: [shape[0], shape[1] / (factor * factor), shape[2] * factor, shape[3] * factor],
      attributes: [("blocksize", .integer(factor)), ("mode", .string("CRD"))])
  }
}
