internal import FlowCore
internal import FlowGraph

/// The network of Stable Diffusion 1, 2 and XL and their relatives: `UNet2DConditionModel`.
///
/// Rombach et al., 2022 (arXiv:2112.10752); layer names and order as in diffusers.
struct UNet {
  let configuration: UNetConfiguration
  let weights: WeightScope

  /// The shapes of one compiled network.
  struct Size: Hashable {
    let rows: Int
    let height: Int
    let width: Int
    let tokens: Int
  }

  /// What the network reads of a prompt, a size and a guidance scale.
  struct Conditions {
    /// The text's hidden states, `[rows, tokens, width]`.
    let hidden: Value
    /// The pooled text and the sizes, where it reads them.
    let addition: (pooled: Value, sizes: Value)?
    /// A thousand times the guidance scale less one, `[rows]`, where it reads it.
    let guidance: Value?
  }

  /// Writes the network down: `sample`, `timestep`, `hidden`, and where it reads them `pooled`,
  /// `sizes` and `guidance`, to `output`.
  func graph(_ size: Size) throws(GraphError) -> Graph {
    let graph = Graph(name: "unet_\(size.rows)x\(size.height)x\(size.width)_\(size.tokens)")
    let sample = graph.input(
      "sample", shape: [size.rows, configuration.inputChannels, size.height, size.width])
    let timestep = graph.input("timestep", shape: [size.rows])
    let hidden = graph.input(
      "hidden", shape: [size.rows, size.tokens, configuration.conditioningWidth])
    let addition = configuration.addition.map { addition in
      (
        pooled: graph.input("pooled", shape: [size.rows, addition.pooledWidth]),
        sizes: graph.input("sizes", shape: [size.rows, UNetConfiguration.Addition.sizeCount])
      )
    }
    let guidance = configuration.guidanceWidth.map { _ in
      graph.input("guidance", shape: [size.rows])
    }
    let output = try callAsFunction(
      sample, timestep: timestep,
      Conditions(hidden: hidden, addition: addition, guidance: guidance))
    try output.expect(sample.shape, of: "the network")
    graph.output(output, as: "output")
    return graph
  }

  private func callAsFunction(
    _ sample: Value, timestep: Value, _ conditions: Conditions
  ) throws(GraphError) -> Value {
    let time = try timeEmbedding(timestep, conditions)
    let conditioning = conditions.hidden
    var hidden = try sample.convolution(weights["conv_in"], padding: 1)
    var skips = [hidden]
    for index in configuration.levels.indices {
      try down(index, &hidden, skips: &skips, time: time, conditioning: conditioning)
    }
    if configuration.hasMiddle {
      hidden = try middle(hidden, time: time, conditioning: conditioning)
    }
    for index in configuration.levels.indices.reversed() {
      try up(index, &hidden, skips: &skips, time: time, conditioning: conditioning)
    }
    return try norm(hidden, weights["conv_norm_out"]).silu()
      .convolution(weights["conv_out"], padding: 1)
  }

  /// The time as every residual block reads it, its activation already applied.
  private func timeEmbedding(
    _ timestep: Value, _ conditions: Conditions
  ) throws(GraphError) -> Value {
    let layer = weights["time_embedding"]
    var time = try sinusoids(timestep, width: configuration.levels[0].channels)
    if let guidance = conditions.guidance, let width = configuration.guidanceWidth {
      // `get_guidance_scale_embedding` of diffusers' latent consistency pipeline.
      let scale = try guidance.timeEmbedding(width: width, cosineFirst: false, frequencyShift: 1)
      time = try time + scale.linear(layer["cond_proj"])
    }
    var embedding = try time.linear(layer["linear_1"]).silu().linear(layer["linear_2"])
    if let (pooled, sizes) = conditions.addition, let addition = configuration.addition {
      let layer = weights["add_embedding"]
      let rows = pooled.shape[0]
      let count = UNetConfiguration.Addition.sizeCount
      let places = try sinusoids(sizes.reshaped([rows * count]), width: addition.timeWidth)
        .reshaped([rows, count * addition.timeWidth])
      embedding =
        try embedding
        + Value.concatenated([pooled, places], axis: 1)
        .linear(layer["linear_1"]).silu().linear(layer["linear_2"])
    }
    return try embedding.silu()
  }

  private func sinusoids(_ numbers: Value, width: Int) throws(GraphError) -> Value {
    try numbers.timeEmbedding(
      width: width, cosineFirst: configuration.cosineFirst,
      frequencyShift: configuration.frequencyShift)
  }

  private func down(
    _ index: Int, _ hidden: inout Value, skips: inout [Value], time: Value, conditioning: Value
  ) throws(GraphError) {
    let level = configuration.levels[index]
    let block = weights["down_blocks"][index]
    for layer in 0..<level.layerCount {
      hidden = try residual(hidden, block["resnets"][layer], time: time)
      if level.attendsDown {
        hidden = try transformer(hidden, block["attentions"][layer], level, conditioning)
      }
      skips.append(hidden)
    }
    guard index < configuration.levels.count - 1 else { return }
    let padding = Value.Padding(before: configuration.downsamplePadding, after: 1)
    hidden = try hidden.convolution(
      block["downsamplers"][0]["conv"], stride: 2, padding: padding)
    skips.append(hidden)
  }

  private func middle(
    _ hidden: Value, time: Value, conditioning: Value
  ) throws(GraphError) -> Value {
    let level = configuration.levels[configuration.levels.count - 1]
    let block = weights["mid_block"]
    let entered = try residual(hidden, block["resnets"][0], time: time)
    let attended = try transformer(entered, block["attentions"][0], level, conditioning)
    return try residual(attended, block["resnets"][1], time: time)
  }

  private func up(
    _ index: Int, _ hidden: inout Value, skips: inout [Value], time: Value, conditioning: Value
  ) throws(GraphError) {
    let level = configuration.levels[index]
    let block = weights["up_blocks"][configuration.levels.count - 1 - index]
    for layer in 0...level.layerCount {
      hidden = try .concatenated([hidden, skips.removeLast()], axis: 1)
      hidden = try residual(hidden, block["resnets"][layer], time: time)
      if level.attendsUp {
        hidden = try transformer(hidden, block["attentions"][layer], level, conditioning)
      }
    }
    guard index > 0, let skip = skips.last else { return }
    // To the size of what it is joined with, so that odd sizes come out as they went in.
    hidden = try hidden.upsampledNearest(height: skip.shape[2], width: skip.shape[3])
      .convolution(block["upsamplers"][0]["conv"], padding: 1)
  }
}
