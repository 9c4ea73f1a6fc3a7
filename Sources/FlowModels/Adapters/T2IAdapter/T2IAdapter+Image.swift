package import FlowCore
package import FlowGraph

extension T2IAdapter: ImageAdapter {
  package var weightStores: [WeightStore] { [weights] }
  package var readsConditioning: Bool { false }
  package var scaleCount: Int { 1 }

  /// The output's size, rounded up to a multiple of the first layer's factor.
  package func imageSize(for size: PixelSize) -> PixelSize {
    let factor = configuration.factor
    func whole(_ extent: Int) -> Int { (extent + factor - 1) / factor * factor }
    return PixelSize(width: whole(size.width), height: whole(size.height))
  }

  /// The features of an image; the unconditional prediction has the same.
  package func imageGraph(
    for size: PixelSize, isUnconditional: Bool
  ) throws(GraphError) -> Graph {
    let size = imageSize(for: size)
    let graph = Graph(name: "\(name)_t2i_\(size)")
    let pixels = try graph.pixels(size)
    let image = try (configuration.inputChannels == 1 ? pixels.luma() : pixels) * (1 / 255)
    for (stage, feature) in try features(of: image).enumerated() {
      graph.output(feature, as: featureInput(stage))
    }
    return graph
  }

  package func scales(_ scale: Float, isUnconditional: Bool) -> [Float] { [scale] }

  /// The features of each stage are inputs of the network, `[rows, channels, height, width]`, and
  /// `scales`, `[rows, 1]`.
  package func attach(to hooks: inout NetworkHooks) throws(GraphError) {
    let graph = hooks.graph
    let scale = try hooks.scales(of: self, rank: 4)[0]
    for (stage, channels) in configuration.channels.enumerated() {
      let input = featureInput(stage)
      hooks.attach(at: configuration.hook(of: stage)) { (value, _) throws(GraphError) in
        try value
          + graph.input(input, shape: value.shape.replacing(1, with: channels)) * scale
      }
    }
  }

  private func featureInput(_ stage: Int) -> PortName { PortName("\(name).features\(stage)") }
}

extension T2IAdapterConfiguration {
  /// The hook of a stage's features.
  ///
  /// Stable Diffusion XL has no down block for the last stage, whose features are added after the
  /// middle block.
  func hook(of stage: Int) -> NetworkHook {
    kind == .fullXL && stage == channels.count - 1 ? .middle : .downBlock(stage)
  }
}

extension UNetConfiguration {
  /// Checks that an adapter's features have the network's channels and sizes.
  ///
  /// - Throws: `fileInvalid` if they do not.
  func check(
    _ adapter: T2IAdapterConfiguration, factor: Int, path: String
  ) throws(ModelError) {
    func mismatch(_ problem: String) -> ModelError {
      ModelError(
        code: .fileInvalid, message: "'\(path)': \(problem); it is for another kind of model")
    }
    let downCount = adapter.channels.indices.count { adapter.hook(of: $0) != .middle }
    guard downCount == levels.count, hasMiddle else {
      throw mismatch(
        "the T2I-Adapter has \(adapter.channels.count) stages (\(adapter.kind.rawValue)) for "
          + "\(downCount) levels of a network, the model's has \(levels.count)")
    }
    for (stage, channels) in adapter.channels.enumerated() {
      let level = min(stage, levels.count - 1)
      // If a block does not attend to the text, features are added after its downsampling.
      let depth = levels[level].attendsDown ? level : min(level + 1, levels.count - 1)
      let (own, expected) = (
        "\(channels) channels at 1/\(adapter.factor(of: stage)) of the image",
        "\(levels[level].channels) at 1/\(factor << depth)"
      )
      guard channels == levels[level].channels, adapter.factor(of: stage) == factor << depth else {
        throw mismatch(
          "stage \(stage) of the T2I-Adapter gives \(own), the model's network has \(expected)")
      }
    }
  }
}
