internal import FlowCore
internal import FlowGraph

/// `RRDBNet`: residual-in-residual dense blocks at the input's resolution, then convolutions at
/// twice and four times that (Wang et al., 2018, arXiv:1809.00219; 2021, arXiv:2107.10833).
struct RRDBNet {
  let configuration: RRDBNetConfiguration
  let weights: WeightScope

  /// From an image in 0 to 1 to a larger one approximately in 0 to 1.
  func upscale(_ image: Value) throws(GraphError) -> Value {
    let side = configuration.unshuffling
    let first = try (side > 1 ? image.pixelUnshuffled(side: side) : image)
      .convolution(weights["conv_first"], padding: 1)
    var hidden = first
    for index in 0..<configuration.blockCount {
      hidden = try block(hidden, weights["body"][index])
    }
    hidden = try first + hidden.convolution(weights["conv_body"], padding: 1)
    for step in 0..<configuration.doublings {
      hidden = try hidden.upsampledNearest(
        height: hidden.shape[2] * 2, width: hidden.shape[3] * 2
      ).convolution(weights["conv_up\(step + 1)"], padding: 1).leakyRelu(Self.slope)
    }
    return try hidden.convolution(weights["conv_hr"], padding: 1).leakyRelu(Self.slope)
      .convolution(weights["conv_last"], padding: 1)
  }

  private static let slope: Float = 0.2
  private static let residualScale: Float = 0.2

  private func block(_ input: Value, _ layer: WeightScope) throws(GraphError) -> Value {
    var hidden = input
    for index in RRDBNetConfiguration.denseBlocks {
      hidden = try denseBlock(hidden, layer["rdb\(index)"])
    }
    return try hidden * Self.residualScale + input
  }

  /// Each convolution reads the input and the outputs of all earlier ones.
  private func denseBlock(_ input: Value, _ layer: WeightScope) throws(GraphError) -> Value {
    var features = [input]
    for index in RRDBNetConfiguration.blockConvolutions.dropLast() {
      features.append(
        try Value.concatenated(features, axis: 1)
          .convolution(layer["conv\(index)"], padding: 1).leakyRelu(Self.slope))
    }
    let last = RRDBNetConfiguration.blockConvolutions.upperBound
    return try Value.concatenated(features, axis: 1).convolution(layer["conv\(last)"], padding: 1)
      * Self.residualScale + input
  }
}
