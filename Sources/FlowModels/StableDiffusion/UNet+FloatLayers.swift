internal import FlowGraph

extension UNet {
  /// The layers that always compute in float32: the first and the last convolution, and the layers
  /// that are computed once for each prompt or timestep.
  func floatLayers() throws(GraphError) -> Set<String> {
    let embeddings = ["time_embedding", "add_embedding"].flatMap { name in
      ["linear_1", "linear_2", "cond_proj"].map { weights[name][$0].path }
    }
    return Set(
      ["conv_in", "conv_out"].map { weights[$0].path } + embeddings
        + (try textLayers().map(\.path)) + timeLayers().map(\.path))
  }
}
