internal import FlowCore

/// The companions of 8-bit weights in ComfyUI's files: a layer's `scale_weight` or `weight_scale`
/// multiplies its `weight`; `scale_input` and `input_scale` are for 8-bit products, which are not
/// computed here; `comfy_quant` and `scaled_fp8` describe the file.
enum WeightScales {
  private static let scales = ["scale_weight", "weight_scale"]
  private static let descriptions = ["scale_input", "input_scale", "comfy_quant"]

  /// The weights with their scales, without the companions.
  ///
  /// - Parameters:
  ///   - weights: all tensors of one or more files.
  ///   - layers: the layer descriptions in the files' headers.
  static func applied(
    to weights: [String: Weight], describedBy layers: [String: WeightDescription]
  ) -> [String: Weight] {
    var scaled = weights
    for (name, companion) in weights {
      let parts = name.split(separator: ".", omittingEmptySubsequences: false)
      guard let last = parts.last else { continue }
      if last == "scaled_fp8" {
        scaled[name] = nil
        continue
      }
      let layer = parts.dropLast().joined(separator: ".")
      guard let weight = weights["\(layer).weight"] else { continue }
      if scales.contains(String(last)) {
        let description = weights["\(layer).comfy_quant"].flatMap(WeightDescription.init)
        scaled[weight.name] = self.scaled(
          weight, by: companion, describedBy: description ?? layers[layer])
        scaled[name] = nil
      } else if descriptions.contains(String(last)) {
        scaled[name] = nil
      }
    }
    return scaled
  }

  /// Integers of unknown meaning stay as they are: they are rejected by name when they are used.
  private static func scaled(
    _ weight: Weight, by scale: Weight, describedBy description: WeightDescription?
  ) -> Weight {
    if weight.type?.isFloatingPoint == true { return weight.scaled(by: scale) }
    guard weight.type == .int8, weight.shape.rank == 2, let description,
      description.format == "int8_tensorwise"
    else { return weight }
    guard description.convrot == true else { return weight.scaled(by: scale, rounding: .plain) }
    let size = description.convrot_groupsize ?? 256
    guard HadamardRotation.canTurn(size), weight.shape[1].isMultiple(of: size) else {
      return weight
    }
    return weight.scaled(by: scale, rounding: .rotated(groupSize: size))
  }
}
