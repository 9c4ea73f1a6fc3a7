internal import FlowCore
internal import Foundation

/// The result of applying a file of weight changes: the numbers of applied and unmatched tensors.
public struct AppliedWeights: Equatable, Sendable {
  /// The kind of a file of weight changes.
  public enum Kind: Sendable {
    /// Low-rank changes of layers: LoRA and similar methods.
    case lora
    /// Full differences between two models.
    case delta
  }

  /// The kind of the file.
  public let kind: Kind
  /// The file.
  public let path: String
  /// The applied scale.
  public let scale: Float
  /// Whether a user named the folder that contains only this file.
  public var isNamedByFolder = false
  /// The number of its tensors.
  public let tensorCount: Int
  /// The names of the unmatched tensors, in order.
  public let rest: [String]

  /// The file's name.
  public var name: String { URL(filePath: path).lastPathComponent }

  /// The number of tensors that changed the model.
  public var appliedCount: Int { tensorCount - rest.count }
}

extension LoRA {
  /// Applies the changes to a model's networks.
  ///
  /// - Parameters:
  ///   - scale: the user's scale, which multiplies the file's own.
  ///   - stores: the networks' weights.
  ///   - names: the networks' layers.
  /// - Throws: `shapeMismatch` if a change does not match its layer.
  public func apply(
    scale: Float, to stores: inout [Component: WeightStore], names: [Component: LayerNames]
  ) throws(GraphError) -> AppliedWeights {
    var changes: [Component: [String: [WeightDelta]]] = [:]
    var rest = unknownTensors
    for module in modules {
      let found = Self.find(module, in: names)
      for (delta, parameter, tensors) in [
        (module.weight, "weight", module.weightTensors),
        (module.bias, "bias", module.biasTensor.map { [$0] } ?? []),
      ] {
        guard let delta else { continue }
        guard let (component, parts) = found, let store = stores[component] else {
          rest += tensors
          continue
        }
        let weights = parts.layers.compactMap { store.weights["\($0).\(parameter)"] }
        guard weights.count == parts.layers.count else {
          rest += tensors
          continue
        }
        for (weight, part) in zip(weights, try delta.split(into: parts, of: module.layer)) {
          let scaled = part.scaled(by: scale)
          try check(scaled, fits: weight)
          changes[component, default: [:]][weight.name, default: []].append(scaled)
        }
      }
    }
    for (component, deltas) in changes {
      stores[component] = stores[component]?.adding(deltas, identity: "\(identity) * \(scale)")
    }
    return AppliedWeights(
      kind: .lora, path: path, scale: scale, tensorCount: tensorCount, rest: rest.sorted())
  }

  private static func find(
    _ module: Module, in names: [Component: LayerNames]
  ) -> (component: Component, parts: LayerParts)? {
    let components: [Component] =
      module.component == .unnamed
      ? [.network] + (0..<3).map { .textEncoder($0) } : [module.component]
    for component in components {
      if let parts = names[component]?.parts(module.layer) { return (component, parts) }
    }
    return nil
  }

  /// Adds the sum to a graph once, which validates the shapes.
  private func check(
    _ delta: WeightDelta, fits weight: Weight
  ) throws(GraphError) {
    do { _ = try Graph(name: "check").value(of: weight.adding(delta)) } catch {
      let parts = delta.tensors.map { "'\($0.name)' \($0.shape)" }.joined(separator: ", ")
      throw GraphError(
        code: .shapeMismatch,
        message: "'\(path)': \(parts) does not fit '\(weight.name)', which is \(weight.shape); "
          + "the file is for models of another family, or damaged")
    }
  }
}

/// A file of full differences under a network's own names, such as PeRFlow's.
public struct DeltaWeights: Sendable {
  private let path: String
  private let file: Safetensors

  /// Maps a file.
  public init(path: String) throws(GraphError) {
    self.path = path
    file = try Safetensors(path: path)
  }

  /// Adds the differences to a network's weights with the same names.
  public func apply(
    scale: Float, to store: inout WeightStore
  ) throws(GraphError) -> AppliedWeights {
    var deltas: [String: [WeightDelta]] = [:]
    var rest: [String] = []
    for (name, tensor) in file.tensors {
      guard let weight = store.weights[name], tensor.type?.isFloatingPoint == true else {
        rest.append(name)
        continue
      }
      guard tensor.shape == weight.shape else {
        throw GraphError(
          code: .shapeMismatch,
          message: "'\(path)': '\(name)' is \(tensor.shape), and the model's is \(weight.shape); "
            + "the file is for models of another family")
      }
      deltas[name] = [
        WeightDelta(
          expression: .tensor(tensor), strength: 1, magnitude: nil, scale: scale, isOfModel: true)
      ]
    }
    if !deltas.isEmpty {
      store = store.adding(deltas, identity: "\(file.identity) * \(scale)")
    }
    return AppliedWeights(
      kind: .delta, path: path, scale: scale, tensorCount: file.tensors.count,
      rest: rest.sorted())
  }
}

extension WeightDelta {
  /// The tensors of the delta.
  var tensors: [Weight] { expression.tensors + (magnitude.map { [$0.weight] } ?? []) }
}

extension WeightDelta.Expression {
  fileprivate var tensors: [Weight] {
    switch self {
    case .tensor(let tensor): [tensor]
    case .product(let left, let right): [left, right]
    case .tucker(let core, let left, let right, _): [left, core, right]
    case .hadamard(let left, let right), .kronecker(let left, let right):
      left.tensors + right.tensors
    case .rows(let whole, _, _), .swappedHalves(let whole): whole.tensors
    }
  }
}
