internal import FlowCore

/// What each layer of a probed graph exposes, to measure how much its rounding to 8 bits matters.
///
/// One graph yields the rounding errors of all layers; a second one takes any of them back in. So
/// the effect of each layer on the output costs one run, not one compilation.
public enum LayerProbe: String, Sendable {
  /// Layers compute in float32; the difference that 8 bits would make to each is an output.
  case errors
  /// Layers compute in float32; an input is added to the output of each.
  case perturbations
}

extension WeightScope {
  /// A layer's output, computed in float32, in 8 bits, or in float32 with a probe, as the store of
  /// its weights asks.
  ///
  /// - Parameters:
  ///   - float: writes the layer in float32.
  ///   - quantized: writes the layer in 8 bits.
  func output(
    float: () throws(GraphError) -> Value,
    quantized: (Quantization.Layer) throws(GraphError) -> Value
  ) throws(GraphError) -> Value {
    guard let quantization else { return try float() }
    switch store.probe {
    case nil: return try quantized(quantization)
    case .errors:
      let exact = try float()
      let error = try quantized(quantization) - exact
      exact.graph.output(error, as: exact.graph.addProbe(shape: error.shape))
      return exact
    case .perturbations:
      let exact = try float()
      let graph = exact.graph
      return try exact + graph.input(graph.addProbe(shape: exact.shape), shape: exact.shape)
    }
  }
}
