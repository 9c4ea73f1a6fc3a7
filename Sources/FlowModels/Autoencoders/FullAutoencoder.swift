internal import FlowCore
internal import FlowGraph

/// What `vae/config.json` says of an `AutoencoderKL`, checked.
package struct FullAutoencoderConfiguration: Equatable, Sendable {
  package let channels: [Int]
  let layerCount: Int
  let latentChannels: Int
  let normGroups: Int
  let attendsInMiddle: Bool
  let scalingFactor: Float
  let shiftFactor: Float

  init(_ file: ConfigurationFile) throws(ModelError) {
    try file.require("_class_name", isOneOf: [.text("AutoencoderKL")])
    try file.require("act_fn", isOneOf: [.text("silu"), .text("swish")])
    for key in ["in_channels", "out_channels"] {
      try file.require(key, isOneOf: [.integer(3)])
    }
    channels = try file.integers("block_out_channels", default: [64], count: nil, in: 1...65536)
    for (key, type) in [
      ("down_block_types", "DownEncoderBlock2D"), ("up_block_types", "UpDecoderBlock2D"),
    ] {
      let types = try file.texts(key, default: [type])
      guard types == [String](repeating: type, count: channels.count) else {
        throw file.unsupported(key, expected: "\(channels.count) of \(type)")
      }
    }
    layerCount = try file.integer("layers_per_block", default: 1, in: 1...64)
    latentChannels = try file.integer("latent_channels", default: 4, in: 1...1024)
    normGroups = try file.integer("norm_num_groups", default: 32, in: 1...4096)
    attendsInMiddle = try file.bool("mid_block_add_attention", default: true)
    scalingFactor = Float(try file.number("scaling_factor", default: 0.18215))
    shiftFactor = Float(try file.number("shift_factor", default: 0))
    guard (1...8).contains(channels.count) else {
      throw file.unsupported("block_out_channels", expected: "1 to 8 levels")
    }
    guard scalingFactor > 0 else {
      throw file.unsupported("scaling_factor", expected: "a number above 0")
    }
  }
}

/// The full autoencoder of latent diffusion: `AutoencoderKL` (Rombach et al., 2022,
/// arXiv:2112.10752).
package struct FullAutoencoder {
  let configuration: FullAutoencoderConfiguration
  let weights: WeightScope

  /// The most products of queries and keys at once, 64 MB of them.
  ///
  /// The engine does not fuse one head of such a width: at 2048 pixels a side all of the products
  /// would take 17 GB.
  var productCount = 1 << 24

  package static let epsilon: Float = 1e-6

  /// From latents to a picture about within 0 and 1.
  func decode(_ latents: Value) throws(GraphError) -> Value {
    let hidden = try decode(latents, levels: configuration.channels.count)
    return try output(hidden, weights["decoder"]) * 0.5 + 0.5
  }

  /// The decoder's beginning, up to the end of so many levels.
  func decode(_ latents: Value, levels: Int) throws(GraphError) -> Value {
    let decoder = weights["decoder"]
    let unscaled = try latents * (1 / configuration.scalingFactor) + configuration.shiftFactor
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

  /// What the decoder does between a level and the next, twice as large.
  func enlarged(_ hidden: Value, after level: Int) throws(GraphError) -> Value {
    try hidden.upsampledNearest(height: hidden.shape[2] * 2, width: hidden.shape[3] * 2)
      .convolution(weights["decoder"]["up_blocks"][level]["upsamplers"][0]["conv"], padding: 1)
  }

  /// From a picture within 0 and 1 to the mean and the spread of its latents.
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
    return (
      try (mean + -configuration.shiftFactor) * configuration.scalingFactor,
      try deviation * configuration.scalingFactor
    )
  }

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
  /// The weights with the names that diffusers gives attention today; files of 2022 have others.
  func withCurrentAttentionNames() -> WeightStore {
    let current = ["query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"]
    return renamed { name in
      let parts = name.split(separator: ".").map(String.init)
      guard parts.contains("attentions") else { return name }
      return parts.map { current[$0] ?? $0 }.joined(separator: ".")
    }
  }
}
