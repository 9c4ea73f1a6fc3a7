internal import FlowGraph

extension UNetControlNetConfiguration {
  /// Its weights; all must be present, and no others.
  ///
  /// - Throws: a `GraphError` for a missing or unknown weight.
  func weights(_ store: WeightStore) throws(GraphError) -> WeightStore {
    try store.restricted(to: weightNames, ignoring: { _ in false }, of: "a ControlNet")
  }

  /// The names of a ControlNet's weights.
  var weightNames: Set<String> {
    let hint = "controlnet_cond_embedding"
    var layers =
      ["conv_in", "time_embedding.linear_1", "time_embedding.linear_2", "controlnet_mid_block"]
      + ["\(hint).conv_in", "\(hint).conv_out"]
      + (0..<2 * (hintChannels.count - 1)).map { "\(hint).blocks.\($0)" }
      + (0..<skipCount).map { "controlnet_down_blocks.\($0)" }
    if unet.addition != nil { layers += ["add_embedding.linear_1", "add_embedding.linear_2"] }
    var matrices: [String] = []
    var entering = unet.levels[0].channels
    for (index, level) in unet.levels.enumerated() {
      let block = "down_blocks.\(index)"
      for layer in 0..<level.layerCount {
        layers += Self.residual("\(block).resnets.\(layer)", isWidening: entering != level.channels)
        entering = level.channels
        guard level.attendsDown else { continue }
        let (named, plain) = Self.attention(
          "\(block).attentions.\(layer)", depth: level.transformerLayerCount)
        layers += named
        matrices += plain
      }
      if index < unet.levels.count - 1 { layers.append("\(block).downsamplers.0.conv") }
    }
    layers += Self.residual("mid_block.resnets.0", isWidening: false)
    if unet.attendsInMiddle, let last = unet.levels.last {
      layers += Self.residual("mid_block.resnets.1", isWidening: false)
      let (named, plain) = Self.attention(
        "mid_block.attentions.0", depth: last.transformerLayerCount)
      layers += named
      matrices += plain
    }
    return Set(
      layers.flatMap { ["\($0).weight", "\($0).bias"] } + matrices.map { "\($0).weight" })
  }

  private static func residual(_ block: String, isWidening: Bool) -> [String] {
    (["norm1", "conv1", "time_emb_proj", "norm2", "conv2"]
      + (isWidening ? ["conv_shortcut"] : [])).map { "\(block).\($0)" }
  }

  /// The layers of attention blocks, with and without a bias.
  private static func attention(
    _ block: String, depth: Int
  ) -> (named: [String], plain: [String]) {
    var named = ["norm", "proj_in", "proj_out"].map { "\(block).\($0)" }
    var plain: [String] = []
    for layer in (0..<depth).map({ "\(block).transformer_blocks.\($0)" }) {
      named += [
        "norm1", "norm2", "norm3", "attn1.to_out.0", "attn2.to_out.0", "ff.net.0.proj", "ff.net.2",
      ].map { "\(layer).\($0)" }
      plain += ["attn1", "attn2"].flatMap { attention in
        ["to_q", "to_k", "to_v"].map { "\(layer).\(attention).\($0)" }
      }
    }
    return (named, plain)
  }
}
