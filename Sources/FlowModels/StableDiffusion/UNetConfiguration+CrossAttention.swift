extension UNetConfiguration {
  /// A cross-attention: attention to the text.
  struct CrossAttention: Equatable {
    /// Its name in the network, such as `down_blocks.0.attentions.1.transformer_blocks.0.attn2`.
    let name: String
    /// Its level, from the highest resolution to the lowest.
    let level: Int
    let channels: Int
    let headCount: Int
  }

  /// The cross-attentions in diffusers' order of the network's parts, by which adapter files number
  /// them: down blocks, up blocks, the middle block last.
  var crossAttentions: [CrossAttention] {
    func attentions(_ block: String, _ level: Int, count: Int) -> [CrossAttention] {
      let (index, level) = (level, levels[level])
      return (0..<count).flatMap { attention in
        (0..<level.transformerLayerCount).map { layer in
          CrossAttention(
            name: "\(block).attentions.\(attention).transformer_blocks.\(layer).attn2",
            level: index, channels: level.channels, headCount: level.headCount)
        }
      }
    }
    var found: [CrossAttention] = []
    for (index, level) in levels.enumerated() where level.attendsDown {
      found += attentions("down_blocks.\(index)", index, count: level.layerCount)
    }
    for (index, level) in levels.enumerated().reversed() where level.attendsUp {
      found += attentions(
        "up_blocks.\(levels.count - 1 - index)", index, count: level.layerCount + 1)
    }
    if hasMiddle, attendsInMiddle { found += attentions("mid_block", levels.count - 1, count: 1) }
    return found
  }
}
