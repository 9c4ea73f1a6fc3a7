internal import FlowCore

/// What a layer of another naming is among a network's own: one layer, or several whose outputs it
/// computes together, such as queries, keys and values.
public struct LayerParts: Equatable, Sendable {
  /// The network's own layers, in the order of the outputs.
  public let layers: [String]
  /// The outputs of each, as parts of their sum.
  public let shares: [Int]
  /// Whether the second half of its outputs is the first of the network's own.
  public let areHalvesSwapped: Bool

  /// One layer.
  public init(_ layer: String, areHalvesSwapped: Bool = false) {
    self.init([layer], shares: [1], areHalvesSwapped: areHalvesSwapped)
  }

  /// Several layers in one.
  public init(_ layers: [String], shares: [Int]) {
    self.init(layers, shares: shares, areHalvesSwapped: false)
  }

  private init(_ layers: [String], shares: [Int], areHalvesSwapped: Bool) {
    precondition(layers.count == shares.count && !layers.isEmpty, "a share for each layer")
    (self.layers, self.shares) = (layers, shares)
    self.areHalvesSwapped = areHalvesSwapped
  }

  /// The same under the names that a network has; nothing where it lacks one of them.
  func named(_ name: (String) -> String?) -> LayerParts? {
    let named = layers.compactMap(name)
    guard named.count == layers.count else { return nil }
    return LayerParts(named, shares: shares, areHalvesSwapped: areHalvesSwapped)
  }

  /// The rows of each layer among so many.
  ///
  /// - Throws: `shapeMismatch` where they do not divide by the shares.
  func rows(of count: Int, in name: String) throws(GraphError) -> [Range<Int>] {
    let sum = shares.reduce(0, +)
    guard count.isMultiple(of: sum) else {
      throw GraphError(
        code: .shapeMismatch,
        message: "'\(name)' has \(count) rows, expected a multiple of \(sum) for "
          + layers.joined(separator: ", "))
    }
    var start = 0
    return shares.map { share in
      defer { start += share * (count / sum) }
      return start..<start + share * (count / sum)
    }
  }

  /// A weight of the layer as the weights of the network's own, which share its bytes.
  ///
  /// - Parameters:
  ///   - weight: the weight, one row or element for each output.
  ///   - parameter: what it is to its layer: `weight`, `bias`.
  /// - Throws: `shapeMismatch` where its rows do not divide.
  public func split(_ weight: Weight, as parameter: String) throws(GraphError) -> [Weight] {
    if areHalvesSwapped {
      return [try weight.halvesSwapped().named("\(layers[0]).\(parameter)")]
    }
    guard layers.count > 1 else { return [weight.named("\(layers[0]).\(parameter)")] }
    let rows = try rows(of: weight.shape.dimensions.first ?? 0, in: weight.name)
    var parts: [Weight] = []
    for (layer, rows) in zip(layers, rows) {
      parts.append(try weight.rows(rows).named("\(layer).\(parameter)"))
    }
    return parts
  }
}
