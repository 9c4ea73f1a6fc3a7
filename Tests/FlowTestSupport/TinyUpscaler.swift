internal import FlowCore

/// Small upscalers with random weights, as the files of Real-ESRGAN hold them.
public enum TinyUpscaler {
  private typealias Tensor = (name: String, shape: [Int], scalars: [Float])

  /// The file of a `SRVGGNetCompact`.
  ///
  /// - Parameters:
  ///   - features: the channels between the convolutions.
  ///   - count: the number of convolutions.
  ///   - factor: how many times as large it makes images.
  ///   - seed: the seed of its weights.
  public static func compact(
    features: Int = 4, convolutions count: Int = 3, factor: Int = 4, seed: UInt64 = 0
  ) -> [UInt8] {
    var noise = GaussianNoise(seed: seed)
    var tensors: [Tensor] = []
    for index in 0..<count {
      let isLast = index == count - 1
      let outputs = isLast ? 3 * factor * factor : features
      tensors += convolution(
        "body.\(2 * index)", inputs: index == 0 ? 3 : features, outputs: outputs,
        gain: isLast ? 0.1 : 1, &noise)
      if !isLast {
        tensors.append(("body.\(2 * index + 1).weight", [features], numbers(features, 0.2, &noise)))
      }
    }
    return SafetensorsWriter.file(tensors)
  }

  /// The file of an `RRDBNet` of one block and two doublings.
  ///
  /// - Parameters:
  ///   - features: the channels between the blocks.
  ///   - unshuffling: the pixels a side that become channels first: 1, or 2 for a network of factor 2.
  ///   - seed: the seed of its weights.
  public static func dense(features: Int = 4, unshuffling: Int = 1, seed: UInt64 = 0) -> [UInt8] {
    var noise = GaussianNoise(seed: seed)
    let growth = 2
    var tensors = convolution(
      "conv_first", inputs: 3 * unshuffling * unshuffling, outputs: features, &noise)
    for part in 1...3 {
      for index in 1...5 {
        tensors += convolution(
          "body.0.rdb\(part).conv\(index)", inputs: features + (index - 1) * growth,
          outputs: index == 5 ? features : growth, &noise)
      }
    }
    for name in ["conv_body", "conv_up1", "conv_up2", "conv_hr"] {
      tensors += convolution(name, inputs: features, outputs: features, &noise)
    }
    tensors += convolution("conv_last", inputs: features, outputs: 3, &noise)
    return SafetensorsWriter.file(tensors.map { ("params_ema.\($0.name)", $0.shape, $0.scalars) })
  }

  private static func convolution(
    _ name: String, inputs: Int, outputs: Int, gain: Float = 1, _ noise: inout GaussianNoise
  ) -> [Tensor] {
    let scale = gain / Float(9 * inputs).squareRoot()
    return [
      ("\(name).weight", [outputs, inputs, 3, 3], numbers(9 * inputs * outputs, scale, &noise)),
      ("\(name).bias", [outputs], numbers(outputs, 0.1 * gain, &noise)),
    ]
  }

  private static func numbers(
    _ count: Int, _ scale: Float, _ noise: inout GaussianNoise
  ) -> [Float] {
    noise.latents(shape: [count]).scalars.map { $0 * scale }
  }
}
