internal import FlowCore
internal import FlowGraph

extension Value {
  /// A control image through convolutions, every second of which halves its resolution
  /// (`ControlNetConditioningEmbedding`).
  ///
  /// - Parameters:
  ///   - layer: the layers.
  ///   - channels: the channels at each resolution, from the full one on.
  func controlHint(_ layer: WeightScope, channels: [Int]) throws(GraphError) -> Value {
    var hidden = try convolution(layer["conv_in"], padding: 1).silu()
    for index in 0..<2 * (channels.count - 1) {
      let stride = index.isMultiple(of: 2) ? 1 : 2
      hidden = try hidden.convolution(layer["blocks"][index], stride: stride, padding: 1).silu()
    }
    return try hidden.convolution(layer["conv_out"], padding: 1)
  }
}

extension WeightStore {
  /// The weights of an adapter, renamed to names that no network has.
  func prefixed(_ name: String) -> WeightStore { renamed { "\(name).\($0)" } }
}

extension NetworkHooks {
  /// The scales of an adapter's rows: `[rows, 1, ...]` each, with this number of axes.
  func scales(
    of adapter: some ImageAdapter, rank: Int
  ) throws(GraphError) -> [Value] {
    let count = adapter.scaleCount
    let scales = graph.input(PortName("\(adapter.name).scales"), shape: [rows, count])
    let shape = Shape([rows] + [Int](repeating: 1, count: rank - 1))
    guard count > 1 else { return [try scales.reshaped(shape)] }
    return try scales.split(into: count).map { scale throws(GraphError) in
      try scale.reshaped(shape)
    }
  }
}
