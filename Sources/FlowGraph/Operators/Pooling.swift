internal import FlowCore

extension Value {
  /// The mean of each square of 2 x 2 pixels, or of its part at an odd edge.
  ///
  /// `[rows, channels, height, width]` to half of height and width, rounded up.
  public func averagePooled() throws(GraphError) -> Value {
    try expect(rank: 4, for: "average pooling")
    return graph.add(
      "AveragePool", [self],
      shape: [shape[0], shape[1], (shape[2] + 1) / 2, (shape[3] + 1) / 2],
      attributes: [
        ("kernel_shape", .integers([2, 2])), ("strides", .integers([2, 2])),
        ("ceil_mode", .integer(1)), ("count_include_pad", .integer(0)),
      ])
  }

  /// Each square of pixels as channels of one pixel, in the order of PyTorch's `pixel_unshuffle`:
  /// channel, row, column.
  ///
  /// `[rows, channels, height, width]` to
  /// `[rows, channels * side * side, height / side, width / side]`.
  public func pixelUnshuffled(side: Int) throws(GraphError) -> Value {
    try expect(rank: 4, for: "pixel unshuffle")
    let (rows, channels, height, width) = (shape[0], shape[1], shape[2] / side, shape[3] / side)
    guard shape[2] == height * side, shape[3] == width * side else {
      throw mismatch("pixel unshuffle", "cannot split \(shape) into squares of \(side) x \(side)")
    }
    return try reshaped([rows, channels, height, side, width, side])
      .transposed([0, 1, 3, 5, 2, 4])
      .reshaped([rows, channels * side * side, height, width])
  }
}
