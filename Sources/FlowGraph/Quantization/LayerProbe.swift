internal import FlowCore

/// What each layer of a probed graph exposes, to measure its sensitivity to 8-bit rounding.
///
/// One graph outputs the rounding errors of all layers; a second graph adds any of them back. Thus,
/// the effect of each layer on the output costs a run instead of a compilation.
public enum LayerProbe: String, Sendable {
  /// Layers compute in float32; each layer's 8-bit rounding error is an output.
  case errors
  /// Layers compute in float32; an input is added to each layer's output.
  case perturbations
}

extension WeightScope {
  /// A layer's output, computed in float32, in 8 bits, or in float32 with a probe, depending on the
  /// store of its weights.
  ///
  /// - Parameters:
  ///   - float: adds the layer in float32.
  ///   - quantized: adds the layer in 8 bits.
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
