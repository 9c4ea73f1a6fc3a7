internal import FlowCore
internal import FlowGraph

/// The outputs of layers whose input does not depend on the sample: the keys and values of a text,
/// the shifts or the modulation of a timestep.
///
/// They are computed in the graph in every tick, or once, by a separate graph, into a table that
/// ticks read.
enum LayerTable {
  /// The input; each layer computes its part in every run.
  case input(Value)
  /// The concatenated parts of all layers, precomputed.
  case computed(Value, places: [String: Range<Int>])

  /// The part of one layer.
  func part(of layer: WeightScope) throws(GraphError) -> Value {
    switch self {
    case .input(let input): return try input.linear(layer)
    case .computed(let table, let places):
      guard let place = places[layer.path] else {
        preconditionFailure("\(layer.path) is not in the table")
      }
      return try table.sliced(
        axis: table.shape.rank - 1, from: place.lowerBound, to: place.upperBound)
    }
  }

  /// The position of each layer's part in a table.
  ///
  /// - Throws: a `GraphError` if a layer has no weight.
  static func places(of layers: [WeightScope]) throws(GraphError) -> [String: Range<Int>] {
    var places: [String: Range<Int>] = [:]
    var start = 0
    for layer in layers {
      let width = try layer.shape(of: "weight")[0]
      places[layer.path] = start..<start + width
      start += width
    }
    return places
  }

  /// The width of a table.
  static func width(of places: [String: Range<Int>]) -> Int {
    places.values.reduce(0) { $0 + $1.count }
  }

  /// The concatenated parts of all layers: a table for later reading.
  func table(of layers: [WeightScope]) throws(GraphError) -> Value {
    let parts = try layers.map { layer throws(GraphError) in try part(of: layer) }
    return try .concatenated(parts, axis: -1)
  }
}
