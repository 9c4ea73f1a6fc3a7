internal import FlowCore
internal import FlowGraph

/// The network of Stable Diffusion 1 and 2 and their relatives: `UNet2DConditionModel`.
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

  /// Writes the network down: `sample`, `timestep`, `conditioning` to `output`.
  func graph(_ size: Size) throws(GraphError) -> Graph {
    let graph = Graph(name: "unet_\(size.rows)x\(size.height)x\(size.width)")
    let sample = graph.input(
      "sample", shape: [size.rows, configuration.inputChannels, size.height, size.width])
    let timestep = graph.input("timestep", shape: [size.rows])
    let conditioning = graph.input(
      "conditioning", shape: [size.rows, size.tokens, configuration.conditioningWidth])
    let output = try callAsFunction(sample, timestep: timestep, conditioning: conditioning)
    try output.expect(sample.shape, of: "the network")
    graph.output(output, as: "output")
    return graph
  }

  func callAsFunction(
    _ sample: Value, timestep: Value, conditioning: Value
  ) throws(GraphError) -> Value {
    let time = try timeEmbedding(timestep)
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
  private func timeEmbedding(_ timestep: Value) throws(GraphError) -> Value {
    let layer = weights["time_embedding"]
    return try timestep.timeEmbedding(
      width: configuration.levels[0].channels, cosineFirst: configuration.cosineFirst,
      frequencyShift: configuration.frequencyShift
    )
    .linear(layer["linear_1"]).silu().linear(layer["linear_2"]).silu()
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
