internal import FlowCore

/// A file's change of one weight of a model: usually two factors of a matrix, and a scale.
///
/// It becomes a constant expression in every graph that uses the weight.
public struct WeightDelta: Sendable {
  /// How the added matrix is computed from the file's tensors.
  indirect enum Expression: Sendable {
    /// A tensor, unchanged.
    case tensor(Weight)
    /// A matrix product (Hu et al., 2021, arXiv:2106.09685).
    case product(Weight, Weight)
    /// A small convolution between two matrices: the sum over a and b of `left[o, a] * core[a, b,
    /// ...] * right[b, i]` (LoCon); `left` may be stored transposed.
    case tucker(core: Weight, left: Weight, right: Weight, isLeftTurned: Bool)
    /// The element-wise product (LoHa; Hyeon-Woo et al., 2021, arXiv:2108.06098).
    case hadamard(Expression, Expression)
    /// The Kronecker product (LoKr; Yeh et al., 2023, arXiv:2309.14859).
    case kronecker(Expression, Expression)
    /// A subset of another expression's rows.
    case rows(Expression, Range<Int>, of: Int)
    /// Another expression with its two halves of rows swapped.
    case swappedHalves(Expression)
  }

  /// The learned norm of each output's (or input's) part of the weight (DoRA; Liu et al., 2024,
  /// arXiv:2402.09353).
  struct Magnitude: Sendable {
    let weight: Weight
    /// Whether a tensor of shape `[1, inputs, ...]` applies to inputs, as in early versions of
    /// LyCORIS.
    let mayMeasureInputs: Bool
  }

  let expression: Expression
  /// The file's own scale: alpha divided by the rank.
  let strength: Float
  let magnitude: Magnitude?
  /// The user's scale.
  let scale: Float
  /// Whether the sum is the model's own weight: a full difference between two models.
  var isOfModel = false

  /// The same delta with the user's scale.
  func scaled(by scale: Float) -> WeightDelta {
    WeightDelta(
      expression: expression, strength: strength, magnitude: magnitude, scale: scale,
      isOfModel: isOfModel)
  }

  /// The complete change, in the shape of the weight.
  ///
  /// A DoRA's direction and magnitude apply to the model's own weight, so that several deltas of
  /// one weight can be added in any order.
  func value(addedTo base: Value) throws(GraphError) -> Value {
    let graph = base.graph
    let change = try expression.value(in: graph, shape: base.shape)
    guard let magnitude else { return try change * (strength * scale) }
    let moved = try base + change * strength
    let length = try graph.value(ofFactor: magnitude.weight)
    let measuresInputs =
      magnitude.mayMeasureInputs && length.shape.rank > 1 && length.shape[0] == 1
      && base.shape[0] != 1
    let axis = measuresInputs ? 1 : 0
    let lengths = try length.reshaped(Self.shape(of: base, keeping: axis))
    // LyCORIS adds the epsilon of float32, so that a part of zeros stays zero.
    let norms = try (moved * moved).sums(keeping: axis).squareRoot() + Float.ulpOfOne
    return try (moved * (lengths / norms) - base) * scale
  }

  private static func shape(of base: Value, keeping axis: Int) -> Shape {
    Shape(base.shape.dimensions.indices.map { $0 == axis ? base.shape[$0] : 1 })
  }
}

extension WeightDelta.Expression {
  /// The matrix in the shape of a weight.
  func value(in graph: Graph, shape: Shape) throws(GraphError) -> Value {
    switch self {
    case .hadamard(let left, let right):
      return try left.value(in: graph, shape: shape) * right.value(in: graph, shape: shape)
    case .kronecker(let left, let right):
      return try Self.kronecker(left.matrix(in: graph), right.matrix(in: graph), shape: shape)
    case .tensor, .product, .tucker: return try matrix(in: graph).reshaped(shape)
    case .rows(let whole, let rows, let count):
      return try whole.value(in: graph, shape: shape.replacing(0, with: count))
        .sliced(axis: 0, from: rows.lowerBound, to: rows.upperBound)
    case .swappedHalves(let whole):
      let value = try whole.value(in: graph, shape: shape)
      let half = shape[0] / 2
      return try .concatenated(
        [
          value.sliced(axis: 0, from: half, to: shape[0]), value.sliced(axis: 0, from: 0, to: half),
        ], axis: 0)
    }
  }

  /// The matrix with all axes but the first flattened.
  private func matrix(in graph: Graph) throws(GraphError) -> Value {
    switch self {
    case .tensor(let tensor): return try Self.matrix(of: tensor, in: graph)
    case .product(let left, let right):
      return try Self.matrix(of: left, in: graph).matrixProduct(Self.matrix(of: right, in: graph))
    case .tucker(let core, let left, let right, let isLeftTurned):
      let left = try Self.matrix(of: left, in: graph)
      return try Self.tucker(
        graph.value(ofFactor: core), isLeftTurned ? left.transposed([1, 0]) : left,
        Self.matrix(of: right, in: graph))
    case .hadamard(let left, let right):
      return try left.matrix(in: graph) * right.matrix(in: graph)
    case .kronecker(let left, _), .rows(let left, _, _), .swappedHalves(let left):
      throw try left.matrix(in: graph).mismatch("Kronecker product", "cannot be nested")
    }
  }

  private static func matrix(of tensor: Weight, in graph: Graph) throws(GraphError) -> Value {
    let value = try graph.value(ofFactor: tensor)
    guard value.shape.rank > 0 else { throw value.mismatch("matrix", "has no axis") }
    return try value.reshaped([value.shape[0], value.shape.elementCount / value.shape[0]])
  }

  /// `[outputs, a] * [a, b, positions] * [b, inputs]` to `[outputs, inputs * positions]`.
  private static func tucker(
    _ core: Value, _ left: Value, _ right: Value
  ) throws(GraphError) -> Value {
    guard core.shape.rank >= 2 else { throw core.mismatch("core", "has less than two axes") }
    let (rows, columns) = (core.shape[0], core.shape[1])
    let places = core.shape.elementCount / (rows * columns)
    let inputs = right.shape[1]
    let entered = try core.reshaped([rows, columns, places]).transposed([0, 2, 1])
      .matrixProduct(right)
    return try left.matrixProduct(
      entered.transposed([0, 2, 1]).reshaped([rows, inputs * places]))
  }

  /// `[a, b]` and `[c, d * positions]` to `[a * c, b * d, positions]`, in the weight's shape.
  private static func kronecker(
    _ left: Value, _ right: Value, shape: Shape
  ) throws(GraphError) -> Value {
    let (rows, columns) = (left.shape[0], left.shape[1])
    guard shape.rank >= 2, shape[1].isMultiple(of: columns), shape[0] == rows * right.shape[0]
    else {
      throw left.mismatch(
        "Kronecker product", "of \(left.shape) and \(right.shape) does not make \(shape)")
    }
    let width = shape[1] / columns
    let places = shape.elementCount / (shape[0] * shape[1])
    let spread = try left.reshaped([rows, 1, columns, 1, 1])
    return try (spread * right.reshaped([1, right.shape[0], 1, width, places])).reshaped(shape)
  }
}
