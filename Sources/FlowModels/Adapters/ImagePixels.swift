internal import FlowCore
internal import FlowGraph

extension Graph {
  /// The input `pixels` of an adapter's image: 8-bit RGB `[1, height, width, 3]`, as
  /// `[1, 3, height, width]` of numbers 0 to 255.
  func pixels(_ size: PixelSize) throws(GraphError) -> Value {
    try input("pixels", shape: [1, size.height, size.width, 3], type: .uint8)
      .cast(to: .float32).transposed([0, 3, 1, 2])
  }
}

extension Value {
  /// The luma of `[rows, 3, height, width]` RGB of 0 to 255, in integers, as Pillow converts to its
  /// mode `L` (ITU-R BT.601 in 16 bits).
  func luma() throws(GraphError) -> Value {
    let weights = graph.constant([19595, 38470, 7471], shape: [1, 3, 1, 1])
    let sums = try (self * weights).transposed([0, 2, 3, 1])
      .reshaped([shape[0] * shape[2] * shape[3], 3]).rowSums()
    // This is exact: the sums are integers below 2 to the power of 24.
    return try ((sums + 32768) * (1 / 65536)).roundedDown()
      .reshaped([shape[0], 1, shape[2], shape[3]])
  }
}
