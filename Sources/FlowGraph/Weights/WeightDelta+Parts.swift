internal import FlowCore

extension WeightDelta {
  /// Splits a change of a layer of another naming scheme into changes of the network's own layers.
  ///
  /// - Throws: `shapeMismatch` if its outputs do not match the layers.
  func split(into parts: LayerParts, of layer: String) throws(GraphError) -> [WeightDelta] {
    guard parts.layers.count > 1 || parts.areHalvesSwapped else { return [self] }
    let count = try expression.rowCount()
    if let magnitude, magnitude.mayMeasureInputs, magnitude.weight.shape.rank > 1,
      magnitude.weight.shape[0] == 1
    {
      throw GraphError(
        code: .shapeMismatch,
        message: "'\(magnitude.weight.name)' has a length for each input of '\(layer)', which is "
          + "\(parts.layers.joined(separator: ", ")) here; expected one for each of its \(count) "
          + "outputs")
    }
    func with(
      _ expression: Expression, _ length: (Weight) throws(GraphError) -> Weight
    ) throws(GraphError) -> WeightDelta {
      var lengths = magnitude
      if let magnitude {
        let weight = try magnitude.weight.reshaped([magnitude.weight.shape.elementCount])
        lengths = Magnitude(weight: try length(weight), mayMeasureInputs: false)
      }
      return WeightDelta(
        expression: expression, strength: strength, magnitude: lengths, scale: scale,
        isOfModel: isOfModel)
    }
    if parts.areHalvesSwapped {
      return [
        try with(.swappedHalves(expression)) { weight throws(GraphError) in
          try weight.halvesSwapped()
        }
      ]
    }
    return try parts.rows(of: count, in: layer).map { rows throws(GraphError) in
      try with(expression.rows(rows, of: count)) { weight throws(GraphError) in
        try weight.rows(rows)
      }
    }
  }
}

extension WeightDelta.Expression {
  /// The rows of its matrix: the outputs of a layer.
  fileprivate func rowCount() throws(GraphError) -> Int {
    func count(_ weight: Weight, axis: Int = 0) throws(GraphError) -> Int {
      guard axis < weight.shape.rank else {
        throw GraphError(
          code: .shapeMismatch,
          message: "'\(weight.name)' is \(weight.shape), which has no axis of outputs")
      }
      return weight.shape[axis]
    }
    switch self {
    case .tensor(let tensor): return try count(tensor)
    case .product(let left, _): return try count(left)
    case .tucker(_, let left, _, let isLeftTurned):
      return try count(left, axis: isLeftTurned ? 1 : 0)
    case .hadamard(let left, _): return try left.rowCount()
    case .kronecker(let left, let right): return try left.rowCount() * right.rowCount()
    case .rows(_, let rows, _): return rows.count
    case .swappedHalves(let whole): return try whole.rowCount()
    }
  }

  /// Some rows of its matrix, computed without the other rows if possible.
  fileprivate func rows(
    _ rows: Range<Int>, of count: Int
  ) throws(GraphError) -> WeightDelta.Expression {
    switch self {
    case .tensor(let tensor): .tensor(try tensor.rows(rows))
    case .product(let left, let right): .product(try left.rows(rows), right)
    case .hadamard(let left, let right):
      .hadamard(try left.rows(rows, of: count), try right.rows(rows, of: count))
    case .tucker, .kronecker, .rows, .swappedHalves: .rows(self, rows, of: count)
    }
  }
}
