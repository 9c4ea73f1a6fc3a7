internal import FlowCore
internal import FlowGraph

/// `SRVGGNetCompact`: convolutions at the input's resolution, whose last channels become pixels
/// (Wang et al., 2021, arXiv:2107.10833, the compact models).
struct SRVGGNetCompact {
  let configuration: SRVGGNetConfiguration
  let weights: WeightScope

  /// From an image in 0 to 1 to a larger one approximately in 0 to 1.
  func upscale(_ image: Value) throws(GraphError) -> Value {
    let body = weights["body"]
    let last = configuration.convolutionCount - 1
    var hidden = image
    for index in 0..<last {
      hidden = try hidden.convolution(body[2 * index], padding: 1).prelu(body[2 * index + 1])
    }
    let factor = configuration.factor
    let detail = try hidden.convolution(body[2 * last], padding: 1).pixelShuffled(by: factor)
    return try detail
      + image.upsampledNearest(height: image.shape[2] * factor, width: image.shape[3] * factor)
  }
}
