internal import FlowCore
internal import FlowGraph

extension LayerTable {
  /// A layer's output for the timestep, split into equal parts: shifts, scales and gates of
  /// adaptive normalization (Peebles and Xie, 2022, arXiv:2212.09748), each `[rows, 1, width]`.
  ///
  /// - Throws: a `GraphError` for weights that do not match.
  func modulation(of layer: WeightScope, into count: Int) throws(GraphError) -> [Value] {
    let part = try part(of: layer)
    return try part.reshaped([part.shape[0], 1, part.shape[1]]).split(into: count)
  }
}
