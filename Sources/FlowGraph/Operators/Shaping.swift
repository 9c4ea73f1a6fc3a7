public import FlowCore

extension Value {
  /// The same elements in the same order with another shape.
  public func reshaped(_ shape: Shape) throws(GraphError) -> Value {
    guard shape.elementCount == self.shape.elementCount else {
      throw mismatch("reshape", "cannot turn \(self.shape) into \(shape)")
    }
    guard shape != self.shape else { return self }
    return graph.add("Reshape", [self, graph.integers(shape.dimensions)], shape: shape)
  }

  /// The axes in another order: axis `order[i]` becomes axis `i`.
  public func transposed(_ order: [Int]) throws(GraphError) -> Value {
    guard order.sorted() == Array(0..<shape.rank) else {
      throw mismatch("transpose", "cannot order the axes of \(shape) as \(order)")
    }
    return graph.add(
      "Transpose", [self], shape: Shape(order.map { shape[$0] }),
      attributes: [("perm", .integers(order))])
  }

  /// The concatenation of values along an axis.
  public static func concatenated(_ values: [Value], axis: Int) throws(GraphError) -> Value {
    precondition(!values.isEmpty, "nothing to concatenate")
    let first = values[0]
    let axis = axis >= 0 ? axis : first.shape.rank + axis
    for value in values.dropFirst()
    where value.shape.rank != first.shape.rank
      || value.shape.replacing(axis, with: 0) != first.shape.replacing(axis, with: 0)
    {
      throw first.mismatch(
        "concatenation", "cannot concatenate \(first.shape) and \(value.shape) along axis \(axis)")
    }
    return first.graph.add(
      "Concat", values.map { $0 },
      shape: first.shape.replacing(axis, with: values.reduce(0) { $0 + $1.shape[axis] }),
      attributes: [("axis", .integer(axis))])
  }

  /// The value split along its last axis into equal parts.
  public func split(into count: Int) throws(GraphError) -> [Value] {
    guard shape.rank > 0, shape[-1].isMultiple(of: count) else {
      throw mismatch("split", "cannot split the last axis of \(shape) into \(count)")
    }
    let shapes = [Shape](
      repeating: shape.replacing(-1, with: shape[-1] / count), count: count)
    return graph.add(
      "Split", [self], shapes: shapes,
      attributes: [("axis", .integer(-1)), ("num_outputs", .integer(count))])
  }

  /// The elements in `start..<end` along an axis.
  public func sliced(axis: Int, from start: Int, to end: Int) throws(GraphError) -> Value {
    guard shape.dimensions.indices.contains(axis), 0 <= start, start < end, end <= shape[axis]
    else { throw mismatch("slice", "\(start)..<\(end) of axis \(axis) is not in \(shape)") }
    guard start > 0 || end < shape[axis] else { return self }
    return graph.add(
      "Slice",
      [self, graph.integers([start]), graph.integers([end]), graph.integers([axis])],
      shape: shape.replacing(axis, with: end - start))
  }

  /// An image enlarged to a height and width by nearest-neighbor sampling, as in PyTorch.
  public func upsampledNearest(height: Int, width: Int) throws(GraphError) -> Value {
    try resized(
      height: height, width: width,
      attributes: [
        ("mode", .string("nearest")), ("coordinate_transformation_mode", .string("asymmetric")),
        ("nearest_mode", .string("floor")),
      ])
  }

  /// An image resized to a height and width by nearest-neighbor sampling with pixel centers
  /// aligned, as PyTorch's `nearest-exact`.
  ///
  /// - Throws: a `GraphError` for a value that is not `[rows, channels, height, width]`, or a size
  ///   that is not positive.
  public func resizedToNearest(height: Int, width: Int) throws(GraphError) -> Value {
    try resized(
      height: height, width: width,
      attributes: [
        ("mode", .string("nearest")), ("coordinate_transformation_mode", .string("half_pixel")),
        ("nearest_mode", .string("round_prefer_ceil")),
      ])
  }

  /// An image resized to a height and width by bilinear interpolation with pixel centers aligned.
  public func resizedLinearly(height: Int, width: Int) throws(GraphError) -> Value {
    try resized(
      height: height, width: width,
      attributes: [
        ("mode", .string("linear")), ("coordinate_transformation_mode", .string("half_pixel")),
      ])
  }

  /// An image resized by cubic interpolation over four pixels a side, pixel centers aligned, as
  /// PyTorch does.
  public func resizedCubically(height: Int, width: Int) throws(GraphError) -> Value {
    try resized(
      height: height, width: width,
      attributes: [
        ("mode", .string("cubic")), ("coordinate_transformation_mode", .string("half_pixel")),
        ("cubic_coeff_a", .float(-0.75)),
      ])
  }

  private func resized(
    height: Int, width: Int, attributes: [(name: String, value: Node.Attribute)]
  ) throws(GraphError) -> Value {
    try expect(rank: 4, for: "resize")
    guard height > 0, width > 0 else {
      throw mismatch("resize", "cannot make \(shape) \(height) x \(width)")
    }
    guard height != shape[2] || width != shape[3] else { return self }
    let sizes = [shape[0], shape[1], height, width]
    return graph.add(
      "Resize", [self, nil, nil, graph.integers(sizes)], shape: Shape(sizes),
      attributes: attributes)
  }

  /// The rows of the layer's `weight` at the given indices: an embedding.
  public func embedding(_ layer: WeightScope) throws(GraphError) -> Value {
    let table = try layer.shape(of: "weight")
    guard table.rank == 2, type == .int32 || type == .int64 else {
      throw GraphError(
        code: .shapeMismatch,
        message: "\(layer.path): \(table) cannot be looked up by \(shape) \(type.rawValue)")
    }
    if let packing = try layer.tablePacking {
      return try graph.rows(self, of: layer.stored("weight"), packedAs: packing)
    }
    return graph.add(
      "Gather", [try layer.value("weight", in: graph), self],
      shape: Shape(shape.dimensions + [table[1]]), layer: layer.path,
      attributes: [("axis", .integer(0))])
  }

  /// For each row of axis 0, the row of axis 1 at its index.
  ///
  /// The value is `[rows, tokens, width]`, the indices `[rows]`, the result `[rows, width]`.
  public func token(at indices: Value) throws(GraphError) -> Value {
    try expect(rank: 3, for: "token choice")
    guard indices.shape == [shape[0]], indices.type == .int64 || indices.type == .int32 else {
      throw mismatch("token choice", "needs one index a row of \(shape), got \(indices.shape)")
    }
    // GatherND with one batch axis: [rows, 1] indices into [tokens, width] of each row.
    let column = try indices.reshaped([shape[0], 1])
    return graph.add(
      "GatherND", [self, column], shape: [shape[0], shape[2]],
      attributes: [("batch_dims", .integer(1))])
  }
}

extension Graph {
  /// An integer tensor in the graph, for table look-ups.
  public func indices(_ values: [Int], shape: Shape) throws(GraphError) -> Value {
    try integers(values).reshaped(shape)
  }
}
