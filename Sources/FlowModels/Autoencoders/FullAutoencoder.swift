internal import FlowCore
internal import FlowGraph

/// The validated `vae/config.json` of an `AutoencoderKL` or an `AutoencoderKLFlux2`.
package struct FullAutoencoderConfiguration: Equatable, Sendable {
  /// The patches of latents that form one latent pixel of the network, normalized (FLUX.2).
  struct Patches: Equatable {
    /// The side of a patch.
    let side: Int
    /// The epsilon that is added to the variance of each patch element.
    let epsilon: Float
  }

  /// The encoder's widths, starting at the image.
  let channels: [Int]
  /// The decoder's widths, starting at the image; a small decoder has smaller ones.
  package let decoderChannels: [Int]
  let layerCount: Int
  /// The channels of the encoder's output and the decoder's input, before patches are formed.
  let latentChannels: Int
  let patches: Patches?
  let normGroups: Int
  let attendsInMiddle: Bool
  let scalingFactor: Float
  let shiftFactor: Float

  init(_ file: ConfigurationFile) throws(ModelError) {
    let isFlux2 = try file.text("_class_name") == Self.flux2
    try file.require(
      "_class_name", isOneOf: [.text("AutoencoderKL"), .text(Self.flux2)])
    try file.require("act_fn", isOneOf: [.text("silu"), .text("swish")])
    for key in ["in_channels", "out_channels"] {
      try file.require(key, isOneOf: [.integer(3)])
    }
    channels = try file.integers(
      "block_out_channels", default: isFlux2 ? [128, 256, 512, 512] : [64], count: nil,
      in: 1...65536)
    decoderChannels =
      isFlux2
      ? try file.integers(
        "decoder_block_out_channels", default: channels, count: channels.count, in: 1...65536)
      : channels
    for (key, type) in [
      ("down_block_types", "DownEncoderBlock2D"), ("up_block_types", "UpDecoderBlock2D"),
    ] {
      let types = try file.texts(
        key, default: [String](repeating: type, count: isFlux2 ? 4 : 1))
      guard types == [String](repeating: type, count: channels.count) else {
        throw file.unsupported(key, expected: "\(channels.count) of \(type)")
      }
    }
    layerCount = try file.integer("layers_per_block", default: isFlux2 ? 2 : 1, in: 1...64)
    latentChannels = try file.integer(
      "latent_channels", default: isFlux2 ? 32 : 4, in: 1...1024)
    normGroups = try file.integer("norm_num_groups", default: 32, in: 1...4096)
    attendsInMiddle = try file.bool("mid_block_add_attention", default: true)
    if isFlux2 {
      let sides = try file.integers("patch_size", default: [2, 2], count: 2, in: 1...64)
      let epsilon = Float(try file.number("batch_norm_eps", default: 1e-4))
      guard sides[0] == sides[1] else {
        throw file.unsupported("patch_size", expected: "two that are the same")
      }
      patches = Patches(side: sides[0], epsilon: epsilon)
      // Latents are normalized with the statistics in the file instead.
      for key in ["scaling_factor", "shift_factor"] { try file.require(key, isOneOf: []) }
      (scalingFactor, shiftFactor) = (1, 0)
    } else {
      patches = nil
      scalingFactor = Float(try file.number("scaling_factor", default: 0.18215))
      shiftFactor = Float(try file.number("shift_factor", default: 0))
    }
    guard (1...8).contains(channels.count) else {
      throw file.unsupported("block_out_channels", expected: "1 to 8 levels")
    }
    guard scalingFactor > 0 else {
      throw file.unsupported("scaling_factor", expected: "a number above 0")
    }
  }

  /// The class of FLUX.2's autoencoder in diffusers.
  static let flux2 = "AutoencoderKLFlux2"

  /// The class in diffusers.
  var className: String { patches == nil ? "AutoencoderKL" : Self.flux2 }
  /// The side of a patch, which is one latent pixel of the network.
  var patchSide: Int { patches?.side ?? 1 }
}

/// The full autoencoder of latent diffusion: `AutoencoderKL` (Rombach et al., 2022,
/// arXiv:2112.10752), and that of FLUX.2, `AutoencoderKLFlux2`.
package struct FullAutoencoder {
  let configuration: FullAutoencoderConfiguration
  let weights: WeightScope

  /// The maximum number of simultaneous attention scores, 64 MB.
  ///
  /// The engine does not fuse a single head of this width: at 2048x2048 pixels all scores together
  /// would take 17 GB.
  var productCount = 1 << 24

  package static let epsilon: Float = 1e-6

  /// Decodes latents to an image in the range of about 0 to 1.
  func decode(_ latents: Value) throws(GraphError) -> Value {
    let hidden = try decode(latents, levels: configuration.decoderChannels.count)
    return try output(hidden, weights["decoder"]) * 0.5 + 0.5
  }

  /// The first levels of the decoder.
  func decode(_ latents: Value, levels: Int) throws(GraphError) -> Value {
    let decoder = weights["decoder"]
    let unscaled = try unscaled(latents)
    var hidden =
      weights.has("post_quant_conv.weight")
      ? try unscaled.convolution(weights["post_quant_conv"]) : unscaled
    hidden = try middle(hidden.convolution(decoder["conv_in"], padding: 1), decoder["mid_block"])
    for level in 0..<levels {
      if level > 0 { hidden = try enlarged(hidden, after: level - 1) }
      for layer in 0...configuration.layerCount {
        hidden = try residual(hidden, decoder["up_blocks"][level]["resnets"][layer])
      }
    }
    return hidden
  }

  /// The transition between decoder levels, with upscaling by 2.
  func enlarged(_ hidden: Value, after level: Int) throws(GraphError) -> Value {
    try hidden.upsampledNearest(height: hidden.shape[2] * 2, width: hidden.shape[3] * 2)
      .convolution(weights["decoder"]["up_blocks"][level]["upsamplers"][0]["conv"], padding: 1)
  }

  /// Encodes an image in the range 0 to 1 to the mean and standard deviation of its latents.
  func encode(_ picture: Value) throws(GraphError) -> (mean: Value, deviation: Value) {
    let encoder = weights["encoder"]
    var hidden = try (picture * 2 + -1).convolution(encoder["conv_in"], padding: 1)
    for index in configuration.channels.indices {
      let block = encoder["down_blocks"][index]
      for layer in 0..<configuration.layerCount {
        hidden = try residual(hidden, block["resnets"][layer])
      }
      guard index < configuration.channels.count - 1 else { continue }
      hidden = try hidden.convolution(
        block["downsamplers"][0]["conv"], stride: 2, padding: .init(before: 0, after: 1))
    }
    var moments = try output(middle(hidden, encoder["mid_block"]), encoder)
    if weights.has("quant_conv.weight") {
      moments = try moments.convolution(weights["quant_conv"])
    }
    let count = configuration.latentChannels
    let mean = try moments.sliced(axis: 1, from: 0, to: count)
    let logVariance = try moments.sliced(axis: 1, from: count, to: 2 * count)
    let deviation = try (logVariance.clamped(to: -30...20) * 0.5).exponential()
    return try scaled(mean: mean, deviation: deviation)
  }

  // MARK: - Scales

  /// Converts the network's latents to the encoder's.
  private func unscaled(_ latents: Value) throws(GraphError) -> Value {
    guard let patches = configuration.patches else {
      return try latents * (1 / configuration.scalingFactor) + configuration.shiftFactor
    }
    let statistics = try statistics(patches, in: latents.graph)
    let (side, height, width) = (patches.side, latents.shape[2], latents.shape[3])
    return try (latents * statistics.deviation + statistics.mean).flattenedToTokens()
      .joinedPatches(
        side: side, order: .channelsFirst, height: side * height, width: side * width)
  }

  /// Converts the encoder's latents to the network's.
  private func scaled(
    mean: Value, deviation: Value
  ) throws(GraphError) -> (mean: Value, deviation: Value) {
    guard let patches = configuration.patches else {
      return (
        try (mean + -configuration.shiftFactor) * configuration.scalingFactor,
        try deviation * configuration.scalingFactor
      )
    }
    let statistics = try statistics(patches, in: mean.graph)
    func patched(_ latents: Value) throws(GraphError) -> Value {
      try latents.patches(side: patches.side, order: .channelsFirst).unflattened(
        height: latents.shape[2] / patches.side, width: latents.shape[3] / patches.side)
    }
    return (
      try (patched(mean) - statistics.mean) / statistics.deviation,
      try patched(deviation) / statistics.deviation
    )
  }

  /// The mean and standard deviation of each patch element over the training images, each `[1,
  /// elements, 1, 1]`.
  private func statistics(
    _ patches: FullAutoencoderConfiguration.Patches, in graph: Graph
  ) throws(GraphError) -> (mean: Value, deviation: Value) {
    let each: Shape = [1, configuration.latentChannels * patches.side * patches.side, 1, 1]
    let layer = weights["bn"]
    let variance = try layer.value("running_var", in: graph).reshaped(each)
    return (
      try layer.value("running_mean", in: graph).reshaped(each),
      try (variance + patches.epsilon).squareRoot()
    )
  }

  // MARK: - Blocks

  private func residual(_ hidden: Value, _ layer: WeightScope) throws(GraphError) -> Value {
    try hidden.residualBlock(layer, groups: configuration.normGroups, epsilon: Self.epsilon)
  }

  private func output(_ hidden: Value, _ part: WeightScope) throws(GraphError) -> Value {
    try hidden.groupNorm(
      part["conv_norm_out"], groups: configuration.normGroups, epsilon: Self.epsilon
    )
    .silu().convolution(part["conv_out"], padding: 1)
  }

  private func middle(_ input: Value, _ block: WeightScope) throws(GraphError) -> Value {
    var hidden = try residual(input, block["resnets"][0])
    if configuration.attendsInMiddle {
      let layer = block["attentions"][0]
      let tokens = try hidden.groupNorm(
        layer["group_norm"], groups: configuration.normGroups, epsilon: Self.epsilon
      )
      .flattenedToTokens()
      let query = try tokens.linear(layer["to_q"])
      let (key, value) = (try tokens.linear(layer["to_k"]), try tokens.linear(layer["to_v"]))
      let count = query.shape[1]
      let together = max(productCount / count, 1)
      var parts: [Value] = []
      for start in stride(from: 0, to: count, by: together) {
        parts.append(
          try query.sliced(axis: 1, from: start, to: min(start + together, count))
            .attention(key: key, value: value, heads: 1))
      }
      let attended = try parts.count == 1 ? parts[0] : Value.concatenated(parts, axis: 1)
      hidden =
        try attended.linear(layer["to_out"][0]).unflattened(
          height: hidden.shape[2], width: hidden.shape[3]) + hidden
    }
    return try residual(hidden, block["resnets"][1])
  }
}

extension WeightStore {
  /// The weights with diffusers' current names of attention layers; files of 2022 have older ones.
  func withCurrentAttentionNames() -> WeightStore {
    let current = ["query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"]
    return renamed { name in
      let parts = name.split(separator: ".").map(String.init)
      guard parts.contains("attentions") else { return name }
      return parts.map { current[$0] ?? $0 }.joined(separator: ".")
    }
  }
}
