internal import FlowCore

extension Value {
  /// Layer normalization over the last axis without scale and shift.
  public func layerNorm(epsilon: Float) throws(GraphError) -> Value {
    let ones = graph.constant([Float](repeating: 1, count: shape[-1]), shape: [shape[-1]])
    return graph.add(
      "LayerNormalization", [self, ones], shape: shape,
      attributes: [("axis", .integer(-1)), ("epsilon", .float(epsilon))])
  }

  /// Root mean square normalization over the last axis with the layer's `weight` (Zhang and
  /// Sennrich, 2019, arXiv:1910.07467): `x / sqrt(mean(x^2) + epsilon) * weight`.
  ///
  /// - Throws: a `GraphError` if the weight is missing or its width differs from the last axis.
  public func rmsNorm(_ layer: WeightScope, epsilon: Float) throws(GraphError) -> Value {
    try rmsNorm(epsilon: epsilon) * layer.value("weight", count: shape[-1], in: graph)
  }

  /// Root mean square normalization over the last axis: `x / sqrt(mean(x^2) + epsilon)`.
  public func rmsNorm(epsilon: Float) throws(GraphError) -> Value {
    let squares = try self * self
    let mean = graph.add(
      "ReduceMean", [squares, graph.integers([-1])], shape: shape.replacing(-1, with: 1),
      attributes: [("keepdims", .integer(1))])
    return try self / (mean + epsilon).squareRoot()
  }

  /// `x * (1 + scale) + shift`, the modulation of adaptive normalization (Peebles and Xie, 2022,
  /// arXiv:2212.09748).
  ///
  /// The value is `[rows, tokens, width]`, scale and shift `[rows, 1, width]`.
  public func modulated(scale: Value, shift: Value) throws(GraphError) -> Value {
    try self * (scale + 1) + shift
  }

  /// Splits a projection into heads: `[rows, tokens, heads * width]` to `[rows, heads, tokens,
  /// width]`.
  public func splitIntoHeads(_ heads: Int) throws(GraphError) -> Value {
    try expect(rank: 3, for: "heads")
    guard heads > 0, shape[2].isMultiple(of: heads) else {
      throw mismatch("heads", "cannot split \(shape) into \(heads)")
    }
    return try reshaped([shape[0], shape[1], heads, shape[2] / heads]).transposed([0, 2, 1, 3])
  }

  /// Concatenates the heads of an attention's output: `[rows, heads, tokens, width]` to `[rows,
  /// tokens, heads * width]`.
  public func joinedHeads() throws(GraphError) -> Value {
    try expect(rank: 4, for: "heads")
    return try transposed([0, 2, 1, 3]).reshaped([shape[0], shape[2], shape[1] * shape[3]])
  }

  /// Scaled dot-product attention with separate heads (``splitIntoHeads(_:)``): query `[rows,
  /// heads, queries, width]`, key and value `[rows, heads, keys, width]`.
  ///
  /// With fewer key and value heads, consecutive query heads share one (grouped queries; Ainslie et
  /// al., 2023, arXiv:2305.13245).
  ///
  /// - Parameters:
  ///   - key: the keys.
  ///   - value: the values.
  ///   - scale: the factor of the scores; nil for the inverse square root of the width.
  ///   - mask: added to the scores before softmax, broadcast to `[rows, heads, queries, keys]`.
  public func headAttention(
    key: Value, value: Value, scale: Float? = nil, mask: Value? = nil
  ) throws(GraphError) -> Value {
    try expect(rank: 4, for: "attention")
    guard key.shape.rank == 4, key.shape == value.shape, key.shape[0] == shape[0],
      key.shape[3] == shape[3], shape[1].isMultiple(of: key.shape[1])
    else {
      throw mismatch(
        "attention", "does not fit query \(shape), key \(key.shape), value \(value.shape)")
    }
    let scale = scale ?? Float(1 / Double(shape[3]).squareRoot())
    let scaled = try scale == 1 ? self : self * scale
    let (rows, heads, queries, width) = (shape[0], shape[1], shape[2], shape[3])
    let (shared, keys) = (key.shape[1], key.shape[2])
    let grouped: Shape = [rows, shared, heads / shared * queries, width]
    var products = try scaled.reshaped(grouped)
      .matrixProduct(key.transposed([0, 1, 3, 2])).reshaped([rows, heads, queries, keys])
    if let mask { products = try products + mask }
    return try products.softmax()
      .reshaped([rows, shared, heads / shared * queries, keys])
      .matrixProduct(value).reshaped(shape)
  }

  /// The pairs of elements of a head that a rotary embedding rotates.
  public enum RotaryPairs: Sendable {
    /// Each element and its neighbor, as in FLUX and Z-Image.
    case adjacent
    /// Corresponding elements of the first and the second half, as in language models.
    case halves
  }

  /// Rotary position embedding (Su et al., 2021, arXiv:2104.09864) of separate heads, `[rows,
  /// heads, tokens, width]`.
  ///
  /// - Parameters:
  ///   - cosine: the cosines, broadcast to the value's shape: `[tokens, width]`, each angle in both
  ///     elements of its pair.
  ///   - sine: the sines, likewise.
  ///   - pairs: the pairs of elements that are rotated.
  public func rotated(
    cosine: Value, sine: Value, pairs: RotaryPairs
  ) throws(GraphError) -> Value {
    guard shape[-1].isMultiple(of: 2) else {
      throw mismatch("rotary embedding", "needs an even width, got \(shape)")
    }
    let last = shape.rank - 1
    let turned: Value
    switch pairs {
    case .adjacent:
      let pairs = try reshaped(Shape(shape.dimensions.dropLast() + [shape[-1] / 2, 2]))
      let first = try pairs.sliced(axis: last + 1, from: 0, to: 1)
      let second = try pairs.sliced(axis: last + 1, from: 1, to: 2)
      turned = try Value.concatenated([second * -1, first], axis: last + 1).reshaped(shape)
    case .halves:
      let half = shape[-1] / 2
      let first = try sliced(axis: last, from: 0, to: half)
      let second = try sliced(axis: last, from: half, to: shape[-1])
      turned = try Value.concatenated([second * -1, first], axis: last)
    }
    return try self * cosine + turned * sine
  }
}
