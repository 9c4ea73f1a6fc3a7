internal import FlowCore
internal import FlowGraph

/// A T2I-Adapter: a small network that reads only a control image, once, and whose features are
/// added to the outputs of the network's down blocks (Mou et al., 2023, arXiv:2302.08453).
package struct T2IAdapter: Sendable {
  /// The prefix of the names of its inputs.
  package let name: String
  let configuration: T2IAdapterConfiguration
  let weights: WeightStore

  /// Opens a folder in diffusers' layout, or a file in diffusers' names or those of the original
  /// repository.
  ///
  /// - Parameters:
  ///   - path: the folder or file.
  ///   - name: the prefix of the names of its inputs, such as `adapter0`.
  ///   - family: the model's family, whose network it must fit.
  ///   - factor: the side in pixels of a latent pixel of the model's autoencoder.
  ///   - variant: the variant in the file's name in a folder, such as `fp16`.
  /// - Throws: a `ModelError` for an adapter that is not supported or does not fit the model, a
  ///   `GraphError` for missing or unknown weights.
  package static func open(
    path: String, name: String, for family: any ModelFamily, factor: Int = 8,
    variant: String? = nil
  ) throws -> T2IAdapter {
    guard let family = family as? StableDiffusion else {
      throw ModelError(
        code: .unsupported,
        message: "'\(path)': T2I-Adapters are supported for Stable Diffusion 1, 2 and XL, not for "
          + "this model")
    }
    return try open(
      path: path, name: name, fitting: family.unet, factor: factor, variant: variant)
  }

  static func open(
    path: String, name: String, fitting network: UNetConfiguration, factor: Int = 8,
    variant: String? = nil
  ) throws -> T2IAdapter {
    let file = try T2IAdapterFile(path: path, variant: variant)
    try network.check(file.configuration, factor: factor, path: path)
    return T2IAdapter(name: name, configuration: file.configuration, weights: file.weights)
  }

  /// The features of an image `[rows, channels, height, width]` in 0 to 1, highest resolution
  /// first.
  func features(of image: Value) throws(GraphError) -> [Value] {
    let root = weights.root
    var hidden = try image.pixelUnshuffled(side: configuration.factor)
    if configuration.kind != .light {
      hidden = try hidden.convolution(root["conv_in"], padding: 1)
    }
    var features: [Value] = []
    for stage in configuration.channels.indices {
      let layer = root["body"][stage]
      if configuration.isHalved(stage) { hidden = try hidden.averagePooled() }
      if layer.has("in_conv.weight") { hidden = try hidden.convolution(layer["in_conv"]) }
      for block in 0..<configuration.blockCount {
        hidden = try residual(hidden, layer["resnets"][block])
      }
      if configuration.kind == .light { hidden = try hidden.convolution(layer["out_conv"]) }
      features.append(hidden)
    }
    return features
  }

  private func residual(_ input: Value, _ layer: WeightScope) throws(GraphError) -> Value {
    // The second layer of a full adapter has a kernel of one pixel, that of a light one of three.
    let padding = configuration.kind == .light ? 1 : 0
    return try input.convolution(layer["block1"], padding: 1).relu()
      .convolution(layer["block2"], padding: padding) + input
  }
}
