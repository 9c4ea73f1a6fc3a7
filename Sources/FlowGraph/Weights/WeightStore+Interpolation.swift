internal import FlowCore

extension WeightStore {
  /// The weights on the way to those of another network of the same layers:
  /// `(1 - fraction) * own + fraction * other` (deep network interpolation; Wang et al., 2019,
  /// arXiv:1811.10515).
  ///
  /// The engine computes it once, when it compiles.
  ///
  /// - Parameters:
  ///   - other: the other network.
  ///   - fraction: how much of it; 0 is none.
  /// - Throws: `shapeMismatch` where the two have different layers.
  package func interpolated(
    with other: WeightStore, fraction: Float
  ) throws(GraphError) -> WeightStore {
    var deltas: [String: [WeightDelta]] = [:]
    for (name, weight) in weights {
      guard let target = other.weights[name], target.shape == weight.shape else {
        let found = other.weights[name].map { "is \($0.shape)" } ?? "is missing"
        throw GraphError(
          code: .shapeMismatch,
          message: "'\(name)' is \(weight.shape) in one network and \(found) in the other; only "
            + "networks of the same layers can be mixed")
      }
      deltas[name] = [(target, fraction), (weight.withoutDeltas, -fraction)].map {
        WeightDelta(
          expression: .tensor($0.0), strength: $0.1, magnitude: nil, scale: 1, isOfModel: true)
      }
    }
    if let unknown = other.weights.keys.filter({ weights[$0] == nil }).min() {
      throw GraphError(
        code: .shapeMismatch,
        message: "'\(unknown)' is in one network and not in the other; only networks of the same "
          + "layers can be mixed")
    }
    return adding(
      deltas, identity: "interpolated by \(fraction) with \(other.identity.joined(separator: ", "))"
    )
  }
}
