internal import FlowCore

/// A layer of another naming scheme in terms of a network's own layers: one layer, or several whose
/// outputs it computes together, such as queries, keys and values.
public struct LayerParts: Equatable, Sendable {
  /// The network's own layers, in the order of the outputs.
  public let layers: [String]
  /// The number of outputs of each, relative to the others.
  public let shares: [Int]
  /// Whether its two halves of outputs are swapped in the network.
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

  /// The same parts under a network's names; nil if the network lacks one of them.
  func named(_ name: (String) -> String?) -> LayerParts? {
    let named = layers.compactMap(name)
    guard named.count == layers.count else { return nil }
    return LayerParts(named, shares: shares, areHalvesSwapped: areHalvesSwapped)
  }

  /// The rows of each layer among `count` rows.
  ///
  /// - Throws: `shapeMismatch` if the shares do not divide them.
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

  /// Splits a weight of the layer into weights of the network's own layers, which share its bytes.
  ///
  /// - Parameters:
  ///   - weight: the weight, with one row or element per output.
  ///   - parameter: the name of the parameter: `weight`, `bias`.
  /// - Throws: `shapeMismatch` if the shares do not divide its rows.
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
