internal import FlowCore
internal import FlowGraph

/// What layers make of one input that does not depend on the sample: the keys and values of a
/// text, the shifts or the modulation of a time.
///
/// They can be computed in the graph at every tick, or once, by a graph of their own, into a table
/// that ticks read.
enum LayerTable {
  /// The input; each layer computes its part at every run.
  case input(Value)
  /// The parts of all layers side by side on the last axis, computed before.
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

  /// Where each layer's part is in a table.
  ///
  /// - Throws: a `GraphError` where a layer has no weight.
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

  /// The parts of all layers side by side on the last axis: a table to be read later.
  func table(of layers: [WeightScope]) throws(GraphError) -> Value {
    let parts = try layers.map { layer throws(GraphError) in try part(of: layer) }
    return try .concatenated(parts, axis: -1)
  }
}
