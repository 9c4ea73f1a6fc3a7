internal import FlowCore
internal import FlowGraph

extension UNet {
  /// The text that cross-attention reads.
  struct Text {
    /// Its hidden states, or keys and values computed from them.
    let states: LayerTable
    /// The mask that is added to attention scores, `[rows, 1, 1, tokens]`; nil to attend to all
    /// tokens.
    var mask: Value?
  }

  func norm(_ hidden: Value, _ layer: WeightScope) throws(GraphError) -> Value {
    try hidden.groupNorm(
      layer, groups: configuration.normGroups, epsilon: configuration.normEpsilon)
  }

  /// A residual block with a time embedding.
  func residual(
    _ input: Value, _ layer: WeightScope, time: LayerTable
  ) throws(GraphError) -> Value {
    try input.residualBlock(
      layer, groups: configuration.normGroups, epsilon: configuration.normEpsilon,
      shift: time.part(of: layer["time_emb_proj"]),
      isSeparable: configuration.compact?.separatesConvolutions ?? false)
  }

  /// Transformer blocks over the positions of an image (`Transformer2DModel`).
  ///
  /// - Parameters:
  ///   - first: what the first attention of a block attends to.
  ///   - keySize: the size at which self-attention reads keys and values; nil for that of its
  ///     queries.
  func transformer(
    _ input: Value, _ layer: WeightScope, _ level: UNetConfiguration.Level, _ text: Text,
    first: UNetConfiguration.FirstAttention = .image, keySize: LatentSize? = nil,
    hooks: NetworkHooks
  ) throws(GraphError) -> Value {
    let normed = try input.groupNorm(
      layer["norm"], groups: configuration.normGroups, epsilon: 1e-6)
    var tokens =
      if configuration.usesLinearProjection {
        try normed.flattenedToTokens().linear(layer["proj_in"])
      } else {
        try normed.convolution(layer["proj_in"]).flattenedToTokens()
      }
    for index in 0..<level.transformerLayerCount {
      tokens = try transformerBlock(
        tokens, layer["transformer_blocks"][index], heads: level.headCount, text, first: first,
        contextTokens: { (tokens) throws(GraphError) in
          guard let keySize else { return tokens }
          return try tokens.unflattened(height: input.shape[2], width: input.shape[3])
            .resizedToNearest(height: keySize.height, width: keySize.width).flattenedToTokens()
        }, hooks: hooks)
    }
    if configuration.usesLinearProjection { tokens = try tokens.linear(layer["proj_out"]) }
    var picture = try tokens.unflattened(height: input.shape[2], width: input.shape[3])
    if !configuration.usesLinearProjection { picture = try picture.convolution(layer["proj_out"]) }
    return try picture + input
  }

  /// The size at which self-attention of a down or up block reads keys and values; nil for that of
  /// its queries.
  ///
  /// Smith et al., 2024 (arXiv:2402.13573): nearby positions have similar keys and values.
  func keySize(of image: Value, level: Int) -> LatentSize? {
    guard configuration.keyDownsampling > 1, level == configuration.largestAttention else {
      return nil
    }
    let size = LatentSize(of: image)
    let factor = configuration.keyDownsampling
    guard size.height >= factor, size.width >= factor else { return nil }
    return LatentSize(height: size.height / factor, width: size.width / factor)
  }

  /// Self-attention, attention to the prompt, and a gated layer (`BasicTransformerBlock`).
  ///
  /// - Parameters:
  ///   - first: what the first attention attends to.
  ///   - contextTokens: selects the tokens from which self-attention computes keys and values.
  private func transformerBlock(
    _ input: Value, _ layer: WeightScope, heads: Int, _ text: Text,
    first: UNetConfiguration.FirstAttention, contextTokens: (Value) throws(GraphError) -> Value,
    hooks: NetworkHooks
  ) throws(GraphError) -> Value {
    let normed = try input.layerNorm(layer["norm1"])
    var hidden =
      switch first {
      case .image:
        try input
          + attention(
            normed, to: Text(states: .input(contextTokens(normed))), layer["attn1"], heads: heads)
      case .text: try input + attention(normed, to: text, layer["attn1"], heads: heads)
      case .absent: normed
      }
    let cross = layer["attn2"]
    hidden =
      try hidden
      + attention(hidden.layerNorm(layer["norm2"]), to: text, cross, heads: heads) {
        (attended, query) throws(GraphError) in
        try hooks(.crossAttention(cross.path), attended, query: query)
      }
    // A gated linear unit (GEGLU; Shazeer, 2020, arXiv:2002.05202). Two layers of half the width
    // make the whole network 7 to 9 % faster than one layer that is split.
    let entered = try hidden.layerNorm(layer["norm3"])
    let gating = layer["ff"]["net"][0]["proj"]
    let width = try gating.shape(of: "weight")[0] / 2
    let value = try entered.linear(gating, outputs: 0..<width)
    let gate = try entered.linear(gating, outputs: width..<2 * width)
    return try hidden + (value * gate.gelu()).linear(layer["ff"]["net"][2])
  }

  /// Attention from some tokens to others.
  ///
  /// - Parameter change: a change of its result, given the query, before the last layer.
  private func attention(
    _ tokens: Value, to context: Text, _ layer: WeightScope, heads: Int,
    change: (_ attended: Value, _ query: Value) throws(GraphError) -> Value = { attended, _ in
      attended
    }
  ) throws(GraphError) -> Value {
    let query = try tokens.linear(layer["to_q"])
    let key = try context.states.part(of: layer["to_k"])
    let value = try context.states.part(of: layer["to_v"])
    let attended =
      if let compact = configuration.compact {
        try groupedAttention(
          query, key: key, value: value, mask: context.mask, layer, heads: heads, compact)
      } else {
        try query.attention(key: key, value: value, heads: heads, mask: context.mask)
      }
    return try change(attended, query).linear(layer["to_out"][0])
  }

  /// Attention whose heads may share keys and values, and whose queries and keys may be normalized.
  private func groupedAttention(
    _ query: Value, key: Value, value: Value, mask: Value?, _ layer: WeightScope, heads: Int,
    _ compact: UNetConfiguration.Compact
  ) throws(GraphError) -> Value {
    func normed(_ heads: Value, _ name: String) throws(GraphError) -> Value {
      guard compact.normalizesHeads else { return heads }
      return try heads.rmsNorm(layer[name], epsilon: 1e-5)
    }
    let shared = compact.sharedHeadCount ?? heads
    let queries = try normed(query.splitIntoHeads(heads), "norm_q")
    let keys = try normed(key.splitIntoHeads(shared), "norm_k")
    return try queries.headAttention(key: keys, value: value.splitIntoHeads(shared), mask: mask)
      .joinedHeads()
  }
}
