internal import FlowCore
internal import FlowGraph

extension Value {
  /// The gated activation of a layer whose first half is the gate of the second: `silu(gate) * x`
  /// (SwiGLU; Shazeer, 2020, arXiv:2002.05202).
  ///
  /// - Parameters:
  ///   - layer: the layer of both halves.
  ///   - outputs: the range of both halves among the layer's outputs.
  /// - Throws: a `GraphError` for weights that do not match.
  func swishGated(_ layer: WeightScope, outputs: Range<Int>) throws(GraphError) -> Value {
    let middle = outputs.lowerBound + outputs.count / 2
    return try linear(layer, outputs: outputs.lowerBound..<middle).silu()
      * linear(layer, outputs: middle..<outputs.upperBound)
  }
}
