internal import FlowCore

extension Value {
  /// A fully connected layer with a low-bit matrix: `x * matrix^T`, plus the product of each
  /// adapter, plus the bias.
  func packedLinear(
    _ layer: WeightScope, _ packing: Packing, outputs part: Range<Int>?
  ) throws(GraphError) -> Value {
    let weight = try layer.stored("weight")
    let rows = part ?? 0..<weight.shape[0]
    guard rows.lowerBound >= 0, !rows.isEmpty, rows.upperBound <= weight.shape[0] else {
      throw mismatch("linear layer", "has no outputs \(rows) of \(weight.shape[0])")
    }
    let input = if let size = packing.rotatedGroupSize { try rotated(size) } else { self }
    var product = try input.product(
      with: graph.value(of: weight, rows: rows, packedAs: packing), layer: layer)
    for delta in weight.deltas where !delta.isOfModel {
      product = try product + self.product(with: delta, of: weight, rows: rows, layer: layer)
    }
    guard
      let bias = try layer.optionalValue("bias", count: weight.shape[0], in: graph)?
        .sliced(axis: 0, from: rows.lowerBound, to: rows.upperBound)
    else { return product }
    return try product + bias
  }

  /// The inputs rotated in groups like the weights, which leaves the products unchanged.
  private func rotated(_ size: Int) throws(GraphError) -> Value {
    let groups = Shape(shape.dimensions.dropLast() + [shape[-1] / size, size])
    return try reshaped(groups).matrixProduct(graph.rotation(size)).reshaped(shape)
  }

  /// `x * matrix^T`.
  private func product(with matrix: Value, layer: WeightScope) throws(GraphError) -> Value {
    graph.add(
      "MatMul", [self, try matrix.transposed([1, 0])],
      shape: shape.replacing(-1, with: matrix.shape[0]), layer: layer.path)
  }

  /// An adapter's contribution: two low-rank products if it has two factors.
  private func product(
    with delta: WeightDelta, of weight: Weight, rows: Range<Int>, layer: WeightScope
  ) throws(GraphError) -> Value {
    let factor = delta.strength * delta.scale
    if case .product(let left, let right) = delta.expression {
      let left = try graph.matrix(of: left)
        .sliced(axis: 0, from: rows.lowerBound, to: rows.upperBound)
      let entered = try product(with: graph.matrix(of: right), layer: layer)
      return try entered.product(with: left * factor, layer: layer)
    }
    let change = try graph.constantValue { () throws(GraphError) in
      try delta.expression.value(in: graph, shape: weight.shape)
        .sliced(axis: 0, from: rows.lowerBound, to: rows.upperBound)
    }
    return try product(with: change * factor, layer: layer)
  }
}

/// Low-bit numbers with their scales and zero points.
private struct PackedParts {
  let numbers: Value
  let scales: Value
  let zeroPoints: Value?

  /// The represented floats.
  func floats() throws(GraphError) -> Value {
    let numbers = try numbers.cast(to: .float32)
    guard let zeroPoints else { return try numbers * scales }
    return try (numbers - zeroPoints) * scales
  }
}

extension Graph {
  /// Rows of a low-bit matrix, `[rows, inputs]`: an engine stores the numbers and dequantizes them
  /// at their use.
  func value(
    of weight: Weight, rows: Range<Int>, packedAs packing: Packing
  ) throws(GraphError) -> Value {
    let name = "\(weight.name) \(rows) \(packing.name)"
    if let known = known(name) { return known }
    let (outputs, inputs) = (rows.count, weight.shape[1])
    let groups = inputs / packing.groupSize
    let value: Value
    if packing.hasZeroPoints {
      let parts = parts(of: weight, rows: rows, packing)
      value = try parts.floats().reshaped([outputs, inputs])
    } else {
      let isByRow = groups == 1
      let numbers = part(
        .numbers(packing), of: weight, rows: rows, shape: [outputs, inputs], name: name)
      let scales = part(
        .scales(packing), of: weight, rows: rows, shape: isByRow ? [outputs] : [outputs, groups],
        name: name)
      value = add(
        "DequantizeLinear", [numbers, scales], shape: [outputs, inputs], type: .float32,
        layer: weight.name,
        attributes: isByRow
          ? [("axis", .integer(0))]
          : [("axis", .integer(1)), ("block_size", .integer(packing.groupSize))])
    }
    remember(value, as: name)
    return value
  }

  /// The selected rows of a low-bit table: only these rows are converted to floats.
  func rows(
    _ indices: Value, of weight: Weight, packedAs packing: Packing
  ) throws(GraphError) -> Value {
    let parts = parts(of: weight, rows: 0..<weight.shape[0], packing)
    func looked(_ table: Value) -> Value {
      add(
        "Gather", [table, indices],
        shape: Shape(indices.shape.dimensions + table.shape.dimensions.dropFirst()),
        type: table.type, layer: weight.name, attributes: [("axis", .integer(0))])
    }
    let found = PackedParts(
      numbers: looked(parts.numbers), scales: looked(parts.scales),
      zeroPoints: parts.zeroPoints.map(looked))
    return try found.floats().reshaped(Shape(indices.shape.dimensions + [weight.shape[1]]))
  }

  /// A low-bit matrix with its groups as an axis: `[rows, groups, group]`, `[rows, groups, 1]`.
  private func parts(of weight: Weight, rows: Range<Int>, _ packing: Packing) -> PackedParts {
    let name = "\(weight.name) \(rows) \(packing.name) by groups"
    let groups = weight.shape[1] / packing.groupSize
    let single: Shape = [rows.count, groups, 1]
    return PackedParts(
      numbers: part(
        .numbers(packing), of: weight, rows: rows,
        shape: single.replacing(2, with: packing.groupSize),
        name: name),
      scales: part(.scales(packing), of: weight, rows: rows, shape: single, name: name),
      zeroPoints: packing.hasZeroPoints
        ? part(.zeroPoints(packing), of: weight, rows: rows, shape: single, name: name) : nil)
  }

  private func part(
    _ part: DerivedTensor.Part, of weight: Weight, rows: Range<Int>, shape: Shape, name: String
  ) -> Value {
    let name = "\(name): \(part.word)"
    if let known = known(name) { return known }
    let value = add(
      DerivedTensor(name: name, shape: shape, source: weight, rows: rows, part: part))
    remember(value, as: name)
    return value
  }

  /// The matrix that rotates groups.
  fileprivate func rotation(_ size: Int) -> Value {
    let name = "rotation of \(size)"
    if let known = known(name) { return known }
    let value = constant(HadamardRotation.matrix(size), shape: [size, size])
    remember(value, as: name)
    return value
  }

  /// A tensor of an adapter's file with all axes but the first flattened.
  fileprivate func matrix(of tensor: Weight) throws(GraphError) -> Value {
    let value = try value(ofFactor: tensor)
    guard value.shape.rank > 0 else { throw value.mismatch("matrix", "has no axis") }
    return try value.reshaped([value.shape[0], value.shape.elementCount / value.shape[0]])
  }
}
