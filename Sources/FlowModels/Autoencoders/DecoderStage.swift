internal import FlowCore
package import FlowGraph

/// A part of a decoder that processes an image tile by tile.
///
/// Its output at a position depends on input positions within its margin, and on statistics of the
/// whole image, which are inputs. A tile with that margin therefore gives the same result as the
/// whole image, and tiles join without a seam.
package struct DecoderStage {
  /// What happens to the tensor that a stage reads.
  package enum Use {
    /// It is no longer needed.
    case consumed
    /// It is kept for the stage that ends the residual block.
    case kept
    /// It is no longer needed, nor is the kept tensor, which the stage reads too.
    case joined(keptChannels: Int)
  }

  /// The inputs of a stage's graph.
  struct Inputs {
    let hidden: Value
    let kept: Value?
    let mean: Value?
    let inverseDeviation: Value?

    /// The input after group normalization with the whole image's statistics, and activation.
    func normalized(by layer: WeightScope) throws(GraphError) -> Value {
      guard let mean, let inverseDeviation else {
        preconditionFailure("\(layer.path): the stage reads no statistics")
      }
      return try hidden.groupNorm(layer, mean: mean, inverseDeviation: inverseDeviation).silu()
    }
  }

  let name: String
  package let inputChannels: Int
  package let outputChannels: Int
  /// The radius of input positions that affect an output position; nil if all of them do.
  package let margin: Int?
  /// The upscaling factor in each direction.
  package var enlargement = 1
  /// The number of groups of the stage's initial normalization, if any.
  package var normGroups: Int?
  package var use = Use.consumed
  /// Whether its output is an image.
  var isLast = false
  let body: (Inputs) throws(GraphError) -> Value

  /// The inputs for the statistics of each channel.
  package static let statisticsInputs: [PortName] = ["mean", "inverse_deviation"]

  /// Builds the stage for one tile: `hidden`, followed by `kept`, `mean` and `inverse_deviation` of
  /// each channel if it reads them.
  package func graph(height: Int, width: Int) throws(GraphError) -> Graph {
    let graph = Graph(name: "vae_decoder_\(name)_\(height)x\(width)")
    let hidden = graph.input("hidden", shape: [1, inputChannels, height, width])
    var kept: Value?
    if case .joined(let channels) = use {
      kept = graph.input("kept", shape: [1, channels, height, width])
    }
    var statistics: [Value] = []
    if let normGroups {
      guard inputChannels.isMultiple(of: normGroups) else {
        throw GraphError(
          code: .shapeMismatch,
          message: "the decoder's \(name): \(inputChannels) channels do not divide into "
            + "\(normGroups) groups")
      }
      statistics = Self.statisticsInputs.map {
        graph.input($0, shape: [1, inputChannels, 1, 1])
      }
    }
    let output = try body(
      Inputs(
        hidden: hidden, kept: kept, mean: statistics.first, inverseDeviation: statistics.last))
    try output.expect(
      [1, outputChannels, height * enlargement, width * enlargement], of: "the decoder's \(name)")
    if isLast {
      try Autoencoder.output(output, of: graph)
    } else {
      graph.output(output, as: "hidden_next")
    }
    return graph
  }
}

extension Autoencoder {
  /// The decoder in stages, which together compute the same as
  /// ``decoderGraph(rows:height:width:)``.
  package var decoderStages: [DecoderStage] {
    switch configuration.kind {
    case .tiny(let configuration):
      TinyAutoencoder(configuration: configuration, weights: weights).decoderStages
    case .full(let configuration):
      FullAutoencoder(configuration: configuration, weights: weights).decoderStages
    }
  }

  /// The decoder in stages without statistics of the whole image, so that a part of the latents
  /// determines a part of the image; nil for a full autoencoder and for TAEF2, whose normalizations
  /// make every pixel depend on all latents.
  package var localDecoderStages: [DecoderStage]? {
    guard case .tiny(let configuration) = configuration.kind else { return nil }
    let tiny = TinyAutoencoder(configuration: configuration, weights: weights)
    guard !configuration.decoderBlocks.indices.contains(where: tiny.normalizesImage) else {
      return nil
    }
    return tiny.decoderBlockStages
  }
}

extension TinyAutoencoder {
  /// The decoder, one stage per level.
  var decoderStages: [DecoderStage] {
    let channels = configuration.decoderChannels
    let last = channels.count - 1
    return channels.indices.map { level in
      // Each convolution extends the radius by one position: one at the start, three per block, one
      // at the end (after upscaling, half a position).
      let margin = (level == 0 ? 1 : 0) + 3 * configuration.decoderBlocks[level] + 1
      let patch = level == 0 ? configuration.patchSide : 1
      var stage = DecoderStage(
        name: "level\(level)", inputChannels: inputChannels(of: level),
        outputChannels: level == last ? 3 : channels[level],
        margin: normalizesImage(level: level) ? nil : (margin + patch - 1) / patch
      ) { inputs throws(GraphError) in try decode(inputs.hidden, level: level) }
      stage.enlargement = patch * (level == last ? 1 : 2)
      stage.isLast = level == last
      return stage
    }
  }

  /// The channels that a level reads: patches of latents, or the output of the level before.
  private func inputChannels(of level: Int) -> Int {
    let side = configuration.patchSide
    return level == 0
      ? configuration.latentChannels * side * side : configuration.decoderChannels[level - 1]
  }

  /// The decoder, one stage per residual block: smaller margins than one stage per level, for tiles
  /// of which only some are computed.
  var decoderBlockStages: [DecoderStage] {
    let channels = configuration.decoderChannels
    let last = channels.count - 1
    var stages: [DecoderStage] = []
    for level in channels.indices {
      let count = configuration.decoderBlocks[level]
      for block in 0..<max(count, 1) {
        let (isFirst, isEnd) = (block == 0, block >= count - 1)
        let blocks = block..<min(block + 1, count)
        let margin = (isFirst && level == 0 ? 1 : 0) + 3 * blocks.count + (isEnd ? 1 : 0)
        let patch = isFirst && level == 0 ? configuration.patchSide : 1
        var stage = DecoderStage(
          name: "level\(level)_block\(block)",
          inputChannels: isFirst ? inputChannels(of: level) : channels[level],
          outputChannels: isEnd && level == last ? 3 : channels[level],
          margin: (margin + patch - 1) / patch
        ) { inputs throws(GraphError) in
          try decode(inputs.hidden, level: level, blocks: blocks)
        }
        stage.enlargement = patch * (isEnd && level < last ? 2 : 1)
        stage.isLast = isEnd && level == last
        stages.append(stage)
      }
    }
    return stages
  }
}

extension FullAutoencoder {
  /// The levels of the decoder that run in tiles: the last two, which take nearly all of its
  /// memory.
  static let tiledLevelCount = 2

  /// The decoder, split at every normalization from the second to last level on.
  ///
  /// The part before, which includes the attention over the whole image, is one stage.
  var decoderStages: [DecoderStage] {
    let widths = Array(configuration.decoderChannels.reversed())
    let first = max(widths.count - Self.tiledLevelCount, 0)
    var head = DecoderStage(
      name: "head",
      inputChannels: configuration.latentChannels * configuration.patchSide
        * configuration.patchSide,
      outputChannels: widths[max(first - 1, 0)], margin: nil
    ) { inputs throws(GraphError) in try decode(inputs.hidden, levels: first) }
    head.enlargement = configuration.patchSide << max(first - 1, 0)
    var stages = [head]
    for level in first..<widths.count {
      let incoming = widths[max(level - 1, 0)]
      if level > 0 {
        var enlarging = DecoderStage(
          name: "enlarging\(level)", inputChannels: incoming, outputChannels: incoming, margin: 1
        ) { inputs throws(GraphError) in try enlarged(inputs.hidden, after: level - 1) }
        enlarging.enlargement = 2
        stages.append(enlarging)
      }
      for layer in 0...configuration.layerCount {
        stages += residualStages(
          level: level, layer: layer, from: layer == 0 ? incoming : widths[level],
          to: widths[level])
      }
    }
    let decoder = weights["decoder"]
    var output = DecoderStage(
      name: "output", inputChannels: widths[widths.count - 1], outputChannels: 3, margin: 1
    ) { inputs throws(GraphError) in
      try inputs.normalized(by: decoder["conv_norm_out"])
        .convolution(decoder["conv_out"], padding: 1) * 0.5 + 0.5
    }
    output.normGroups = configuration.normGroups
    output.isLast = true
    return stages + [output]
  }

  /// A residual block in two stages, each with a normalization and a convolution.
  private func residualStages(
    level: Int, layer: Int, from incoming: Int, to outgoing: Int
  ) -> [DecoderStage] {
    let block = weights["decoder"]["up_blocks"][level]["resnets"][layer]
    var first = DecoderStage(
      name: "block\(level).\(layer)a", inputChannels: incoming, outputChannels: outgoing, margin: 1
    ) { inputs throws(GraphError) in
      try inputs.normalized(by: block["norm1"]).convolution(block["conv1"], padding: 1)
    }
    var second = DecoderStage(
      name: "block\(level).\(layer)b", inputChannels: outgoing, outputChannels: outgoing, margin: 1
    ) { inputs throws(GraphError) in
      guard let kept = inputs.kept else { preconditionFailure("\(block.path): nothing was kept") }
      let change = try inputs.normalized(by: block["norm2"])
        .convolution(block["conv2"], padding: 1)
      guard block.has("conv_shortcut.weight") else { return try kept + change }
      return try kept.convolution(block["conv_shortcut"]) + change
    }
    (first.normGroups, second.normGroups) = (configuration.normGroups, configuration.normGroups)
    (first.use, second.use) = (.kept, .joined(keptChannels: incoming))
    return [first, second]
  }
}
