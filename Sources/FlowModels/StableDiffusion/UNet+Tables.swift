internal import FlowCore
internal import FlowGraph

extension UNet {
  /// The layers that read only the text, in the order of the table: keys and values.
  func textLayers() throws(GraphError) -> [WeightScope] {
    var layers: [WeightScope] = []
    for attention in attentions() {
      for layer in 0..<attention.depth {
        let block = attention.scope["transformer_blocks"][layer]
        for cross in attention.first == .text ? ["attn1", "attn2"] : ["attn2"] {
          layers += [block[cross]["to_k"], block[cross]["to_v"]]
        }
      }
    }
    return layers
  }

  /// The layers that read only the time: the shift of each residual block.
  func timeLayers() -> [WeightScope] {
    var blocks: [WeightScope] = []
    let count = configuration.levels.count
    for (index, level) in configuration.levels.enumerated() {
      let (down, up) = (weights["down_blocks"][index], weights["up_blocks"][count - 1 - index])
      blocks += (0..<level.layerCount).map { down["resnets"][$0] }
      blocks += (0...level.layerCount).map { up["resnets"][$0] }
    }
    if configuration.hasMiddle {
      let count = 1 + (configuration.compact?.middleLayerCount ?? 1)
      blocks += (0..<count).map { weights["mid_block"]["resnets"][$0] }
    }
    return blocks.map { $0["time_emb_proj"] }
  }

  /// A series of transformer blocks, and what their first attention attends to.
  private struct Attentions {
    let scope: WeightScope
    let depth: Int
    var first = UNetConfiguration.FirstAttention.image
  }

  private func attentions() -> [Attentions] {
    var found: [Attentions] = []
    let count = configuration.levels.count
    for (index, level) in configuration.levels.enumerated() {
      let depth = level.transformerLayerCount
      let (down, up) = (weights["down_blocks"][index], weights["up_blocks"][count - 1 - index])
      if level.attendsDown {
        found += (0..<level.layerCount).map {
          Attentions(scope: down["attentions"][$0], depth: depth, first: level.firstDown)
        }
      }
      if level.attendsUp {
        found += (0...level.layerCount).map {
          Attentions(scope: up["attentions"][$0], depth: depth, first: level.firstUp)
        }
      }
    }
    if configuration.hasMiddle, let last = configuration.levels.last {
      found += (0..<(configuration.compact?.middleLayerCount ?? 1)).map {
        Attentions(
          scope: weights["mid_block"]["attentions"][$0], depth: last.transformerLayerCount)
      }
    }
    return found
  }

  /// The tables that are worthwhile at a size of latents.
  ///
  /// Measured on Stable Diffusion 1.5: keys and values of a text are 22 % of a row's operations at
  /// 64 pixels, 6 % at 128 and 1.6 % at 256. Tables save 15 % of a tick's time at 64 and 9 % at 128
  /// (text 8 to 14 and 5, time the rest). From 256 on there is no measurable effect, and none with
  /// the starter's 40 tokens.
  func worthwhileTables(_ shape: BatchShape) throws(GraphError) -> Tables {
    let row = try graph(
      BatchShape(rows: 1, height: shape.height, width: shape.width, tokens: shape.tokens))
    let text = try textTableGraph(tokens: shape.tokens)
    return Double(text.operationCount) >= 0.05 * Double(row.operationCount) ? [.text, .time] : []
  }
}

extension UNet.Tables {
  /// The tables of some inputs.
  init(_ inputs: Set<PortName>) {
    self = []
    if inputs.contains(Self.textInput) { insert(.text) }
    if inputs.contains(Self.timeInput) { insert(.time) }
  }

  /// The inputs that replace them.
  var inputs: [PortName] {
    (contains(.text) ? [Self.textInput] : []) + (contains(.time) ? [Self.timeInput] : [])
  }
}
