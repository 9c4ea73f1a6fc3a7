public import FlowCore

/// A network under construction.
///
/// An architecture reads like its mathematics: `input.groupNorm(...).silu().convolution(...)`.
/// Every operator checks its shapes when it is added, and an error names the layer. A finished
/// graph becomes a ``GraphModule``.
public final class Graph {
  /// The model's name.
  public let name: String

  private(set) var nodes: [Node] = []
  private(set) var constants: [Constant] = []
  private(set) var weights: [Weight] = []
  private(set) var derived: [DerivedTensor] = []
  private(set) var inputs: [Port] = []
  private(set) var outputs: [Port] = []
  /// The floating-point operations of convolutions and matrix products, two for each multiply-add.
  public private(set) var operationCount = 0
  /// The convolutions and fully connected layers in the order of their creation.
  ///
  /// A layer whose parts are used separately is listed once for each part.
  public private(set) var layers: [Layer] = []
  private var valueCount = 0
  private var knownConstants: [ConstantKey: Value.Info] = [:]
  private var knownWeights: [String: Value.Info] = [:]

  private struct ConstantKey: Hashable {
    let type: ElementType
    let shape: Shape
    let bytes: [UInt8]

    func hash(into hasher: inout Hasher) {
      hasher.combine(type)
      hasher.combine(shape)
      // As a whole: byte by byte, a large constant takes long in a debug build.
      unsafe bytes.withUnsafeBytes { unsafe hasher.combine(bytes: $0) }
    }
  }

  /// Creates an empty graph.
  public init(name: String) { self.name = name }

  /// Adds an input.
  public func input(_ name: PortName, shape: Shape, type: ElementType = .float32) -> Value {
    inputs.append(Port(name: name, shape: shape, type: type))
    let text = name.description
    return Value(graph: self, name: text, shape: shape, type: type, layer: text)
  }

  /// An input that was added before; nil where there is none of that name.
  package func input(named name: PortName) -> Value? {
    guard let port = inputs.first(where: { $0.name == name }) else { return nil }
    let text = name.description
    return Value(graph: self, name: text, shape: port.shape, type: port.type, layer: text)
  }

  /// Names a value as an output, in the order of the calls.
  public func output(_ value: Value, as name: PortName) {
    nodes.append(
      Node(
        operation: "Identity", inputs: [value.name], outputs: [name.description], attributes: []))
    outputs.append(Port(name: name, shape: value.shape, type: value.type))
  }

  /// A tensor of `Float`s that the graph contains.
  public func constant(_ scalars: [Float], shape: Shape) -> Value {
    constant(bytes: littleEndianBytes(scalars), type: .float32, shape: shape)
  }

  /// One `Float`.
  public func constant(_ scalar: Float) -> Value { constant([scalar], shape: []) }

  /// A list of integers, such as shapes and axes of operators.
  func integers(_ values: [Int]) -> Value {
    constant(
      bytes: littleEndianBytes(values.map { Int64($0) }), type: .int64,
      shape: [values.count])
  }

  /// A weight in float32, whatever its stored type, including its deltas.
  ///
  /// The value consists of constants only: the engine computes it once, when it compiles, and it
  /// counts as no operation.
  func value(of weight: Weight) throws(GraphError) -> Value {
    if let known = known(weight.name) { return known }
    return try constantValue { () throws(GraphError) in
      var base = try value(ofStored: weight, named: weight.name)
      for delta in weight.deltas where delta.isOfModel {
        base = try base + delta.value(addedTo: base)
      }
      var value = base
      for delta in weight.deltas where !delta.isOfModel {
        value = try value + delta.value(addedTo: base)
      }
      remember(value, as: weight.name)
      return value
    }
  }

  /// Adds a constant expression, which counts as no operation.
  func constantValue(
    _ write: () throws(GraphError) -> Value
  ) throws(GraphError) -> Value {
    let operationCountAtRun = operationCount
    defer { operationCount = operationCountAtRun }
    return try write()
  }

  /// A weight's value that was added before.
  func known(_ name: String) -> Value? {
    knownWeights[name].map { Value(graph: self, info: $0) }
  }

  /// Remembers a weight's value for further uses.
  func remember(_ value: Value, as name: String) { knownWeights[name] = value.info }

  /// A tensor of another file, whose name may also exist in the network.
  func value(ofFactor weight: Weight) throws(GraphError) -> Value {
    try value(ofStored: weight, named: nextName("Factor"))
  }

  private func value(ofStored weight: Weight, named name: String) throws(GraphError) -> Value {
    let type = try weight.floatingPointType()
    guard weight.shape.elementCount > 0 else {
      throw GraphError(
        code: .shapeMismatch, message: "\(weight.name) is \(weight.shape): it is empty")
    }
    guard !weight.areHalvesSwapped else {
      let half = weight.shape[0] / 2
      let (first, second) = (
        try weight.withoutDeltas.rows(0..<half),
        try weight.withoutDeltas.rows(half..<weight.shape[0])
      )
      return try .concatenated(
        [
          value(ofStored: first, named: name), value(ofStored: second, named: nextName("Half")),
        ], axis: 0)
    }
    let stored: Value
    if !weight.isExpanded {
      weights.append(weight.named(name))
      stored = Value(
        graph: self, name: name, shape: weight.storedShape, type: type, layer: weight.name)
    } else {
      stored = add(
        DerivedTensor(
          name: name, shape: weight.storedShape, source: weight,
          rows: 0..<(weight.storedShape.dimensions.first ?? 1), part: .floats))
    }
    var value = try stored.cast(to: .float32)
    for scale in weight.isExpanded ? [] : try weight.readableScales() {
      let factors = try self.value(ofStored: scale, named: nextName("Scale"))
      let isOne = scale.shape.elementCount == 1
      let axes = weight.storedShape.dimensions.indices
      value =
        try value
        * factors.reshaped(
          Shape(axes.map { $0 == 0 && !isOne ? weight.storedShape[0] : 1 }))
    }
    return weight.isTransposed ? try value.transposed([1, 0]) : value
  }

  /// A layer with weights in a graph.
  public struct Layer {
    /// The layer's name, such as `down_blocks.0.resnets.1.conv1`.
    public let name: String
    /// Its floating-point operations, two for each multiply-add.
    public let operationCount: Int
    /// The port that exposes the layer's rounding error if the weights are probed.
    public fileprivate(set) var probe: Port?
    let input: Value.Info
  }

  func note(_ layer: WeightScope, reading input: Value, operationCount: Int) {
    layers.append(
      Layer(name: layer.path, operationCount: operationCount, probe: nil, input: input.info))
  }

  /// Names the port that probes the most recent layer.
  func addProbe(shape: Shape) -> PortName {
    let port = Port(
      name: PortName("probe_\(layers.count - 1)"), shape: shape, type: .float32)
    layers[layers.count - 1].probe = port
    return port.name
  }

  /// Adds an operator with one output.
  func add(
    _ operation: String, _ inputs: [Value?], shape: Shape, type: ElementType? = nil,
    layer: String? = nil, attributes: [(name: String, value: Node.Attribute)] = []
  ) -> Value {
    let name = nextName(operation)
    nodes.append(
      Node(
        operation: operation, inputs: inputs.map { $0?.name ?? "" }, outputs: [name],
        attributes: attributes))
    let first = inputs.lazy.compactMap { $0 }.first
    switch (operation, first, inputs.count > 1 ? inputs[1] : nil) {
    case ("Conv", let input?, let weight?):
      note(
        2 * shape.elementCount * weight.shape.elementCount / weight.shape[0], input, weight)
    case ("MatMul", let left?, let right?):
      note(2 * shape.elementCount * left.shape[-1], left, right)
    default: break
    }
    return Value(
      graph: self, name: name, shape: shape, type: type ?? first?.type ?? .float32,
      layer: layer ?? first?.layer ?? operation)
  }

  /// Counts the arithmetic of the last operator.
  private func note(_ count: Int, _ left: Value, _ right: Value) {
    operationCount += count
    nodes[nodes.count - 1].work = Node.Work(
      isConvolution: nodes[nodes.count - 1].operation == "Conv", operationCount: count,
      left: left.shape, right: right.shape)
  }

  /// Adds an operator with several outputs.
  func add(
    _ operation: String, _ inputs: [Value], shapes: [Shape],
    attributes: [(name: String, value: Node.Attribute)]
  ) -> [Value] {
    let names = shapes.map { _ in nextName(operation) }
    nodes.append(
      Node(
        operation: operation, inputs: inputs.map(\.name), outputs: names, attributes: attributes))
    return zip(names, shapes).map { name, shape in
      Value(graph: self, name: name, shape: shape, type: inputs[0].type, layer: inputs[0].layer)
    }
  }

  /// Adds a tensor derived from a weight; 4-bit tensors are declared as 8-bit ones that contain
  /// them.
  func add(_ tensor: DerivedTensor) -> Value {
    derived.append(tensor)
    let type: ElementType =
      switch tensor.elements {
      case .float32: .float32
      case .int8, .int4: .int8
      case .uint8, .uint4: .uint8
      }
    return Value(
      graph: self, name: tensor.name, shape: tensor.shape, type: type, layer: tensor.source.name)
  }

  func constant(bytes: [UInt8], type: ElementType, shape: Shape) -> Value {
    let key = ConstantKey(type: type, shape: shape, bytes: bytes)
    if let known = knownConstants[key] { return Value(graph: self, info: known) }
    let name = nextName("Constant")
    constants.append(Constant(name: name, type: type, shape: shape, bytes: bytes))
    let value = Value(graph: self, name: name, shape: shape, type: type, layer: "a constant")
    knownConstants[key] = value.info
    return value
  }

  private func nextName(_ operation: String) -> String {
    valueCount += 1
    return "\(operation)_\(valueCount)"
  }
}

/// The bytes of numbers as they are in memory, little-endian on all platforms of the package.
private func littleEndianBytes<Number: BitwiseCopyable>(_ numbers: [Number]) -> [UInt8] {
  #if _endian(big)
    #error("constants are little-endian")
  #endif
  return unsafe numbers.withUnsafeBytes { unsafe Array($0) }
}
