internal import FlowCore

extension Value {
  /// The element-wise sum, with extents of 1 broadcast.
  public static func + (left: Value, right: Value) throws(GraphError) -> Value {
    try left.combined("Add", with: right)
  }

  /// The element-wise difference, with extents of 1 broadcast.
  public static func - (left: Value, right: Value) throws(GraphError) -> Value {
    try left.combined("Sub", with: right)
  }

  /// The element-wise product, with extents of 1 broadcast.
  public static func * (left: Value, right: Value) throws(GraphError) -> Value {
    try left.combined("Mul", with: right)
  }

  /// The element-wise quotient, with extents of 1 broadcast.
  public static func / (left: Value, right: Value) throws(GraphError) -> Value {
    try left.combined("Div", with: right)
  }

  /// The value with a number added to every element.
  public static func + (left: Value, right: Float) throws(GraphError) -> Value {
    try left + left.graph.constant(right)
  }

  /// The value with every element multiplied by a number.
  public static func * (left: Value, right: Float) throws(GraphError) -> Value {
    try left * left.graph.constant(right)
  }

  private func combined(_ operation: String, with other: Value) throws(GraphError) -> Value {
    guard let shape = shape.broadcast(with: other.shape), type == other.type else {
      throw mismatch(
        operation.lowercased(),
        "takes two of one shape, got \(shape) \(type.rawValue) and \(other.shape) \(other.type.rawValue)"
      )
    }
    return graph.add(operation, [self, other], shape: shape)
  }

  /// `1 / (1 + exp(-x))`.
  public func sigmoid() -> Value { graph.add("Sigmoid", [self], shape: shape) }

  /// `x * sigmoid(x)`, which the engine recognizes as one operator (Swish).
  public func silu() throws(GraphError) -> Value { try self * sigmoid() }

  /// `max(x, 0)`.
  public func relu() -> Value { graph.add("Relu", [self], shape: shape) }

  /// The hyperbolic tangent.
  public func tanh() -> Value { graph.add("Tanh", [self], shape: shape) }

  /// The square root.
  public func squareRoot() -> Value { graph.add("Sqrt", [self], shape: shape) }

  /// e to the power of x.
  public func exponential() -> Value { graph.add("Exp", [self], shape: shape) }

  /// The sine of an angle in radians.
  public func sine() -> Value { graph.add("Sin", [self], shape: shape) }

  /// The cosine of an angle in radians.
  public func cosine() -> Value { graph.add("Cos", [self], shape: shape) }

  /// `x * Phi(x)` with the exact normal distribution (Hendrycks and Gimpel, 2016,
  /// arXiv:1606.08415), or its tanh form.
  public func gelu(approximately isApproximate: Bool = false) -> Value {
    graph.add(
      "Gelu", [self], shape: shape,
      attributes: [("approximate", .string(isApproximate ? "tanh" : "none"))])
  }

  /// `x * sigmoid(1.702 * x)`, the activation of OpenAI's CLIP.
  public func quickGELU() throws(GraphError) -> Value { try self * (self * 1.702).sigmoid() }

  /// Every element clamped to a range.
  public func clamped(to bounds: ClosedRange<Float>) -> Value {
    graph.add(
      "Clip", [self, graph.constant(bounds.lowerBound), graph.constant(bounds.upperBound)],
      shape: shape)
  }

  /// Every element rounded to the nearest integer, ties to even.
  public func rounded() -> Value { graph.add("Round", [self], shape: shape) }

  /// Every element rounded down to an integer.
  public func roundedDown() -> Value { graph.add("Floor", [self], shape: shape) }

  /// The elements converted to another type.
  public func cast(to type: ElementType) throws(GraphError) -> Value {
    guard type != self.type else { return self }
    return graph.add(
      "Cast", [self], shape: shape, type: type, attributes: [("to", .integer(type.onnxCode))])
  }

  /// The matrix product over the last two axes; the axes before them are broadcast.
  public func matrixProduct(_ other: Value) throws(GraphError) -> Value {
    guard shape.rank >= 2, other.shape.rank >= 2, shape[-1] == other.shape[-2],
      let batch = Shape(Array(shape.dimensions.dropLast(2))).broadcast(
        with: Shape(Array(other.shape.dimensions.dropLast(2))))
    else { throw mismatch("matrix product", "cannot multiply \(shape) by \(other.shape)") }
    return graph.add(
      "MatMul", [self, other], shape: Shape(batch.dimensions + [shape[-2], other.shape[-1]]))
  }

  /// The sum of each row's elements, `[rows, ...]` to `[rows]`.
  public func rowSums() throws(GraphError) -> Value {
    let flat = try reshaped([shape[0], shape.elementCount / max(shape[0], 1)])
    return graph.add(
      "ReduceSum", [flat, graph.integers([1])], shape: [shape[0]],
      attributes: [("keepdims", .integer(0))])
  }

  /// The sums over all axes but one; the summed axes become extents of 1.
  func sums(keeping axis: Int) throws(GraphError) -> Value {
    let axes = shape.dimensions.indices.filter { $0 != axis }
    guard !axes.isEmpty else { return self }
    return graph.add(
      "ReduceSum", [self, graph.integers(axes)],
      shape: Shape(shape.dimensions.indices.map { $0 == axis ? shape[$0] : 1 }),
      attributes: [("keepdims", .integer(1))])
  }

  /// `exp(x)` divided by its sum over the last axis.
  public func softmax() -> Value {
    graph.add("Softmax", [self], shape: shape, attributes: [("axis", .integer(-1))])
  }
}

extension Shape {
  /// The broadcast shape of two shapes, aligned at the last axis; nil if they do not match.
  func broadcast(with other: Shape) -> Shape? {
    var result: [Int] = []
    for offset in 1...max(rank, other.rank, 1) {
      let left = offset <= rank ? self[-offset] : 1
      let right = offset <= other.rank ? other[-offset] : 1
      guard left == right || left == 1 || right == 1 else { return nil }
      if offset <= max(rank, other.rank) { result.append(left == 1 ? right : left) }
    }
    return Shape(result.reversed())
  }
}
