internal import FlowCore

/// The tensors of one LoRA module during assembly; unused tensors remain.
struct ModuleParts {
  private var tensors: [LoRAName.Part: Weight]
  private var used: [String] = []

  init(_ tensors: [LoRAName.Part: Weight]) { self.tensors = tensors }

  /// The names of the unused tensors.
  var left: [String] { tensors.values.map(\.name) }

  /// The module, or nil if no form is complete.
  mutating func module(
    component: LoRA.Component, layer: String, settings: AdapterSettings
  ) throws(GraphError) -> LoRA.Module? {
    let form = form()
    var weight: WeightDelta?
    var strength: Float = 1
    if let form {
      strength = try self.strength(
        of: form, in: layer, component: component, settings: settings)
      weight = WeightDelta(
        expression: form.expression, strength: strength, magnitude: magnitude(), scale: 1)
    }
    let weightTensors = used
    var bias: (tensor: Weight, strength: Float)?
    if let tensor = take(.biasDifference) {
      bias = (tensor, 1)
    } else if weight != nil, let tensor = take(.biasUp) {
      bias = (tensor, strength)
    }
    guard form != nil || bias != nil else { return nil }
    return LoRA.Module(
      component: component, layer: layer, kind: form?.kind ?? .difference, rank: form?.rank,
      hasMagnitude: weight?.magnitude != nil, inputWidth: form?.inputWidth,
      weightTensors: weightTensors, weight: weight, biasTensor: bias?.tensor.name,
      bias: bias.map {
        WeightDelta(
          expression: .tensor($0.tensor), strength: $0.strength, magnitude: nil, scale: 1)
      })
  }

  private struct Form {
    let kind: LoRA.Kind
    let expression: WeightDelta.Expression
    var rank: Int?
    var inputWidth: Int?
  }

  private mutating func form() -> Form? {
    if let (down, up) = take(.down, .up) {
      let mid = take(.mid)
      return Form(
        kind: .lora,
        expression: mid.map { .tucker(core: $0, left: up, right: down, isLeftTurned: false) }
          ?? .product(up, down),
        rank: down.shape.dimensions.first,
        inputWidth: down.shape.rank > 1 ? down.shape[1] : nil)
    }
    if tensors[.hadamard2A] != nil, tensors[.hadamard2B] != nil,
      let (a, b) = take(.hadamard1A, .hadamard1B), let (c, d) = take(.hadamard2A, .hadamard2B)
    {
      let first = Self.factor(core: take(.hadamardCore1), a, b)
      let second = Self.factor(core: take(.hadamardCore2), c, d)
      return Form(
        kind: .loha, expression: .hadamard(first, second), rank: b.shape.dimensions.first,
        inputWidth: b.shape.rank > 1 ? b.shape[1] : nil)
    }
    if has(.kronecker1, or: .kronecker1A, .kronecker1B),
      has(.kronecker2, or: .kronecker2A, .kronecker2B),
      let (left, leftRank) = kroneckerFactor(.kronecker1, .kronecker1A, .kronecker1B, core: nil),
      let (right, rightRank) = kroneckerFactor(
        .kronecker2, .kronecker2A, .kronecker2B, core: .kroneckerCore2)
    {
      return Form(
        kind: .lokr, expression: .kronecker(left, right), rank: rightRank ?? leftRank,
        inputWidth: nil)
    }
    if let difference = take(.difference) {
      return Form(
        kind: .difference, expression: .tensor(difference), rank: nil,
        inputWidth: difference.shape.rank > 1 ? difference.shape[1] : nil)
    }
    return nil
  }

  /// Alpha divided by the rank, from wherever the file stores it, or 1.
  private mutating func strength(
    of form: Form, in layer: String, component: LoRA.Component, settings: AdapterSettings
  ) throws(GraphError) -> Float {
    guard form.kind != .difference else { return 1 }
    if let scale = try takeNumber(.scale) { return scale }
    if let alpha = try takeNumber(.alpha) {
      // Two full Kronecker factors have no rank: LyCORIS then uses 1 for any alpha.
      guard let rank = form.rank else { return 1 }
      return alpha / Float(max(rank, 1))
    }
    guard let rank = form.rank, rank > 0 else { return 1 }
    return try settings.strength(of: layer, component: component, rank: rank) ?? 1
  }

  private mutating func magnitude() -> WeightDelta.Magnitude? {
    if let weight = take(.outputMagnitude) {
      return .init(weight: weight, mayMeasureInputs: false)
    }
    return take(.magnitude).map { .init(weight: $0, mayMeasureInputs: true) }
  }

  private static func factor(
    core: Weight?, _ left: Weight, _ right: Weight
  ) -> WeightDelta.Expression {
    core.map { .tucker(core: $0, left: left, right: right, isLeftTurned: true) }
      ?? .product(left, right)
  }

  private mutating func kroneckerFactor(
    _ whole: LoRAName.Part, _ left: LoRAName.Part, _ right: LoRAName.Part, core: LoRAName.Part?
  ) -> (expression: WeightDelta.Expression, rank: Int?)? {
    if let tensor = take(whole) { return (.tensor(tensor), nil) }
    guard let (a, b) = take(left, right) else { return nil }
    return (Self.factor(core: core.flatMap { take($0) }, a, b), b.shape.dimensions.first)
  }

  private func has(
    _ whole: LoRAName.Part, or left: LoRAName.Part, _ right: LoRAName.Part
  ) -> Bool {
    tensors[whole] != nil || (tensors[left] != nil && tensors[right] != nil)
  }

  private mutating func take(_ part: LoRAName.Part) -> Weight? {
    guard let weight = tensors.removeValue(forKey: part) else { return nil }
    used.append(weight.name)
    return weight
  }

  private mutating func take(
    _ first: LoRAName.Part, _ second: LoRAName.Part
  ) -> (Weight, Weight)? {
    guard tensors[first] != nil, tensors[second] != nil, let a = take(first),
      let b = take(second)
    else { return nil }
    return (a, b)
  }

  /// A single finite number; other tensors remain unused.
  private mutating func takeNumber(_ part: LoRAName.Part) throws(GraphError) -> Float? {
    guard let weight = tensors[part], weight.shape.elementCount == 1 else { return nil }
    let number = try weight.floats()[0]
    guard number.isFinite else { return nil }
    _ = take(part)
    return number
  }
}
