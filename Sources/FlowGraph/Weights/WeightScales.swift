/// The companions of weights in 8-bit floats, as ComfyUI writes them: a layer's `scale_weight` or
/// `weight_scale` multiplies its `weight`; `scale_input` and `input_scale` are for products in 8 bits,
/// which are not computed here; `comfy_quant` and `scaled_fp8` describe the file.
enum WeightScales {
  private static let scales = ["scale_weight", "weight_scale"]
  private static let descriptions = ["scale_input", "input_scale", "comfy_quant"]

  /// The weights with their scales, without the companions.
  static func applied(to weights: [String: Weight]) -> [String: Weight] {
    var scaled = weights
    for (name, companion) in weights {
      let parts = name.split(separator: ".", omittingEmptySubsequences: false)
      guard let last = parts.last else { continue }
      if last == "scaled_fp8" {
        scaled[name] = nil
        continue
      }
      let layer = (parts.dropLast() + ["weight"]).joined(separator: ".")
      guard let weight = weights[layer] else { continue }
      if scales.contains(String(last)) {
        // Integers are refused where they are used, with their own name.
        if weight.type?.isFloatingPoint == true {
          scaled[layer] = weight.scaled(by: companion)
        }
        scaled[name] = nil
      } else if descriptions.contains(String(last)) {
        scaled[name] = nil
      }
    }
    return scaled
  }
}
