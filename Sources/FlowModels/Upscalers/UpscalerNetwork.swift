internal import FlowCore
package import FlowGraph

/// An upscaler's graph, from pixels to pixels.
package struct UpscalerNetwork {
  package let configuration: UpscalerConfiguration
  let weights: WeightScope

  package init(configuration: UpscalerConfiguration, weights: WeightScope) {
    self.configuration = configuration
    self.weights = weights
  }

  /// Builds the network's graph: from `source`, 8-bit RGB `[1, height, width, 3]`, to `pixels` of
  /// the same type, and `sums`, which is finite if all values are.
  ///
  /// - Parameters:
  ///   - height: the input's height.
  ///   - width: the input's width.
  ///   - factor: the ratio of sizes: the network's own factor, or half of it with area
  ///     downsampling.
  package func graph(height: Int, width: Int, factor: Int) throws(GraphError) -> Graph {
    precondition(configuration.makes(factor), "\(configuration.factor) does not make \(factor)")
    let graph = Graph(name: "upscaler_\(factor)x\(height)x\(width)")
    let source = graph.input("source", shape: [1, height, width, 3], type: .uint8)
    let image = try source.cast(to: .float32).transposed([0, 3, 1, 2]) * (1 / 255)
    let enlarged = try upscale(image)
    let own = configuration.factor
    try enlarged.expect([1, 3, height * own, width * own], of: configuration.className)
    try Autoencoder.output(enlarged, isHalved: own > factor, of: graph)
    return graph
  }

  /// From an image in 0 to 1, `[1, 3, height, width]`, to a larger one.
  func upscale(_ image: Value) throws(GraphError) -> Value {
    switch configuration.kind {
    case .compact(let configuration):
      try SRVGGNetCompact(configuration: configuration, weights: weights).upscale(image)
    case .dense(let configuration):
      try RRDBNet(configuration: configuration, weights: weights).upscale(image)
    }
  }
}

extension UpscalerConfiguration {
  /// Whether it supports a factor: its own, or half of it with area downsampling.
  package func makes(_ factor: Int) -> Bool {
    self.factor == factor || self.factor == 2 * factor
  }
}
