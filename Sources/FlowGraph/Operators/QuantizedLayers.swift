internal import FlowCore

extension Value {
  /// The value rounded to 8 bits, in the form that engines recognize as a request for 8-bit
  /// arithmetic.
  func quantized(to range: AffineRange) -> Value {
    graph.requantized(
      self, scales: graph.constant(range.scale),
      zeroPoints: graph.constant(bytes: [range.zeroPoint], type: .uint8, shape: []))
  }

  /// A layer's weight rounded to 8 bits, with one scale for each output, `[outputs]`.
  func quantized(toScales scales: Value, layer: WeightScope) throws(GraphError) -> Value {
    guard scales.shape == [shape[0]] else {
      throw GraphError(
        code: .shapeMismatch,
        message: "\(layer.path): \(scales.shape.elementCount) scales for \(shape[0]) outputs; "
          + "quantize again")
    }
    let zeros = [UInt8](repeating: 0, count: shape[0])
    return graph.requantized(
      self, scales: scales,
      zeroPoints: graph.constant(bytes: zeros, type: .int8, shape: [shape[0]]),
      axis: 0)
  }

  /// A fully connected layer as a 1x1 convolution, which in 8 bits is 1.6 to 1.9 times as fast as
  /// the float32 matrix product; an 8-bit matrix product is slower than either.
  func quantizedLinear(
    _ layer: WeightScope, _ quantization: Quantization.Layer, outputs part: Range<Int>?
  ) throws(GraphError) -> Value {
    var weight = try layer.value("weight", in: graph)
    var bias = try layer.optionalValue("bias", count: weight.shape[0], in: graph)
    var scales = try quantization.scales(of: layer, in: graph)
    if let part, part.upperBound <= scales.shape[0] {
      weight = try weight.sliced(axis: 0, from: part.lowerBound, to: part.upperBound)
      bias = try bias?.sliced(axis: 0, from: part.lowerBound, to: part.upperBound)
      scales = try scales.sliced(axis: 0, from: part.lowerBound, to: part.upperBound)
    }
    let (inputs, outputs) = (shape[-1], weight.shape[0])
    let places = shape.elementCount / shape[0] / inputs
    // In this order the engine quantizes, transposes and convolves without a copy.
    let picture = try reshaped([shape[0], places, 1, inputs]).transposed([0, 3, 1, 2])
      .quantized(to: quantization.input)
    let kernel = try weight.reshaped([outputs, inputs, 1, 1])
      .quantized(toScales: scales, layer: layer)
    let convolved = graph.add(
      "Conv", [picture, kernel, bias], shape: [shape[0], outputs, places, 1], layer: layer.path,
      attributes: [("kernel_shape", .integers([1, 1]))])
    return try convolved.transposed([0, 2, 3, 1]).reshaped(shape.replacing(-1, with: outputs))
  }
}

extension Quantization.Layer {
  /// The scales of a layer's weight, `[outputs]`: the measured ones.
  ///
  /// If adapters change the weight, the measured share of the changed largest magnitude.
  ///
  /// The value consists of constants only, which the engine folds when it compiles.
  func scales(of layer: WeightScope, in graph: Graph) throws(GraphError) -> Value {
    let measured = graph.constant(weightScales, shape: [weightScales.count])
    let stored = try layer.stored("weight")
    guard !stored.deltas.isEmpty, stored.shape.rank > 1, stored.shape[0] == weightScales.count
    else { return measured }
    let changed = try layer.value("weight", in: graph).largestMagnitudes()
    let original = try graph.value(ofFactor: stored.withoutDeltas).largestMagnitudes()
    // A row of zeros has the share 1, since its measured scale is meaningless.
    let share = try (measured * Quantization.largestWeight / original).clamped(to: 0.5...1)
    return try changed * share * (1 / Quantization.largestWeight)
  }
}

extension Value {
  /// The largest magnitude of each row, `[rows, ...]` to `[rows]`, at least 1e-30, so that scales
  /// are positive.
  fileprivate func largestMagnitudes() throws(GraphError) -> Value {
    let flat = try reshaped([shape[0], shape.elementCount / max(shape[0], 1)])
    let magnitudes = graph.add("Abs", [flat], shape: flat.shape)
    let largest = graph.add(
      "ReduceMax", [magnitudes, graph.integers([1])], shape: [shape[0]],
      attributes: [("keepdims", .integer(0))])
    return graph.add(
      "Max", [largest, graph.constant(1e-30)], shape: largest.shape)
  }
}

extension Graph {
  fileprivate func requantized(
    _ value: Value, scales: Value, zeroPoints: Value, axis: Int? = nil
  ) -> Value {
    let attributes: [(name: String, value: Node.Attribute)] =
      axis.map { [("axis", .integer($0))] } ?? []
    let numbers = add(
      "QuantizeLinear", [value, scales, zeroPoints], shape: value.shape, type: zeroPoints.type,
      layer: value.layer, attributes: attributes)
    return add(
      "DequantizeLinear", [numbers, scales, zeroPoints], shape: value.shape, type: .float32,
      layer: value.layer, attributes: attributes)
  }
}
