internal import FlowCore

extension Value {
  /// A two-dimensional convolution with the layer's `weight` and, if it has one, `bias`.
  ///
  /// The value is `[rows, channels, height, width]`, the weight
  /// `[outputs, channels, kernelHeight, kernelWidth]`.
  public func convolution(
    _ layer: WeightScope, stride: Int = 1, padding: Int = 0
  ) throws(GraphError) -> Value {
    let padding = Padding(before: padding, after: padding)
    return try convolution(layer, stride: stride, padding: padding)
  }

  /// Zero padding of an image.
  public struct Padding: Sendable {
    /// Above and to the left.
    public let before: Int
    /// Below and to the right.
    public let after: Int

    /// Creates a padding; the encoder of a full autoencoder pads only one side.
    public init(before: Int, after: Int) {
      self.before = before
      self.after = after
    }
  }

  /// A two-dimensional convolution of each channel by itself: the weight is `[channels, 1, height,
  /// width]`.
  public func depthwiseConvolution(
    _ layer: WeightScope, padding: Int = 0
  ) throws(GraphError) -> Value {
    try expect(rank: 4, for: "depthwise convolution")
    return try convolution(
      layer, stride: 1, padding: Padding(before: padding, after: padding), groups: shape[1])
  }

  /// A two-dimensional convolution with separate padding before and after.
  ///
  /// - Parameters:
  ///   - layer: the weights, `[outputs, inputs / groups, height, width]`, and the bias, if any.
  ///   - stride: the stride in both directions.
  ///   - padding: the padding in both directions.
  ///   - groups: the number of equal groups of channels that are convolved separately.
  public func convolution(
    _ layer: WeightScope, stride: Int, padding: Padding, groups: Int = 1
  ) throws(GraphError) -> Value {
    let weight = try layer.value("weight", in: graph)
    guard shape.rank == 4, weight.shape.rank == 4, weight.shape[1] * groups == shape[1],
      weight.shape[0].isMultiple(of: groups)
    else {
      throw GraphError(
        code: .shapeMismatch,
        message: "\(layer.path): convolution with weight \(weight.shape) does not fit \(shape)")
    }
    let spatial = [2, 3].map { axis in
      (shape[axis] + padding.before + padding.after - weight.shape[axis]) / stride + 1
    }
    guard spatial.allSatisfy({ $0 > 0 }) else {
      throw GraphError(
        code: .shapeMismatch,
        message: "\(layer.path): convolution with weight \(weight.shape) is larger than \(shape)")
    }
    let output: Shape = [shape[0], weight.shape[0], spatial[0], spatial[1]]
    graph.note(
      layer, reading: self,
      operationCount: 2 * output.elementCount * weight.shape.elementCount / weight.shape[0])
    let bias = try layer.optionalValue("bias", count: weight.shape[0], in: graph)
    func convolved(_ input: Value, _ kernel: Value) -> Value {
      graph.add(
        "Conv", [input, kernel, bias], shape: output, layer: layer.path,
        attributes: [
          ("kernel_shape", .integers([weight.shape[2], weight.shape[3]])),
          ("strides", .integers([stride, stride])),
          ("pads", .integers([padding.before, padding.before, padding.after, padding.after])),
        ] + (groups > 1 ? [("group", .integer(groups))] : []))
    }
    return try layer.output {
      convolved(self, weight)
    } quantized: { quantization throws(GraphError) in
      convolved(
        quantized(to: quantization.input),
        try weight.quantized(toScales: quantization.scales(of: layer, in: graph), layer: layer))
    }
  }

  /// A fully connected layer over the last axis: `x * weight^T + bias`.
  ///
  /// The weight is `[outputs, inputs]`, as PyTorch stores it.
  ///
  /// - Parameter part: the outputs to compute; all by default. If the outputs of a layer are used
  ///   separately, compute them as separate parts: the engine slices the weight once, when it
  ///   compiles, instead of slicing the result in every run.
  public func linear(
    _ layer: WeightScope, outputs part: Range<Int>? = nil
  ) throws(GraphError) -> Value {
    let matrix = try layer.shape(of: "weight")
    guard matrix.rank == 2, shape.rank >= 2, matrix[1] == shape[-1] else {
      throw GraphError(
        code: .shapeMismatch,
        message: "\(layer.path): linear layer with weight \(matrix) does not fit \(shape)")
    }
    graph.note(
      layer, reading: self, operationCount: 2 * shape.elementCount * (part?.count ?? matrix[0]))
    guard shape.rank > 2 else { return try floatLinear(layer, outputs: part) }
    return try layer.output { () throws(GraphError) in
      try floatLinear(layer, outputs: part)
    } quantized: { quantization throws(GraphError) in
      try quantizedLinear(layer, quantization, outputs: part)
    }
  }

  private func floatLinear(
    _ layer: WeightScope, outputs part: Range<Int>?
  ) throws(GraphError) -> Value {
    if let packing = try layer.packing {
      return try packedLinear(layer, packing, outputs: part)
    }
    var weight = try layer.value("weight", in: graph)
    var bias = try layer.optionalValue("bias", count: weight.shape[0], in: graph)
    if let part {
      weight = try weight.sliced(axis: 0, from: part.lowerBound, to: part.upperBound)
      bias = try bias?.sliced(axis: 0, from: part.lowerBound, to: part.upperBound)
    }
    let outputs = weight.shape[0]
    let turned = graph.add(
      "Transpose", [weight], shape: [weight.shape[1], outputs],
      attributes: [("perm", .integers([1, 0]))])
    let product = graph.add(
      "MatMul", [self, turned], shape: shape.replacing(-1, with: outputs), layer: layer.path)
    guard let bias else { return product }
    return try product + bias
  }
}
