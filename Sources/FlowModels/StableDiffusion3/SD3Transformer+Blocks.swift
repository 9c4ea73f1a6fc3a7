internal import FlowCore
internal import FlowGraph
private import Foundation

extension SD3Transformer {
  /// The modulation of a layer: shift and scale before it, a gate after it (adaLN-Zero; Peebles and
  /// Xie, 2022, arXiv:2212.09748), `[rows, 1, width]` each.
  private struct Modulation {
    let shift: Value
    let scale: Value
    let gate: Value

    init(_ parts: ArraySlice<Value>) {
      let parts = Array(parts)
      (shift, scale, gate) = (parts[0], parts[1], parts[2])
    }

    /// The layer's input, from normalized tokens.
    func entering(_ normed: Value) throws(GraphError) -> Value {
      try normed.modulated(scale: scale, shift: shift)
    }
  }

  /// A block of two streams with joint attention (`JointTransformerBlock`), `[rows, tokens, width]`
  /// each.
  ///
  /// The last block does not update the text, which nothing reads afterwards.
  func block(
    _ index: Int, _ image: inout Value, _ text: inout Value, time: LayerTable
  ) throws(GraphError) {
    let layer = weights["transformer_blocks"][index]
    let isLast = index == configuration.layerCount - 1 && !endsWithText
    let isDual = configuration.dualLayers.contains(index)
    let parts = try modulation(of: layer["norm1"], time, count: isDual ? 9 : 6)
    let textParts = try modulation(of: layer["norm1_context"], time, count: isLast ? 2 : 6)

    let normed = try image.layerNorm(epsilon: Self.epsilon)
    let normedText = try text.layerNorm(epsilon: Self.epsilon)
    let attention = Modulation(parts[0..<3])
    let attended = try jointAttention(
      attention.entering(normed),
      // In the last block the order is scale, shift.
      isLast
        ? normedText.modulated(scale: textParts[0], shift: textParts[1])
        : Modulation(textParts[0..<3]).entering(normedText),
      layer["attn"], givesText: !isLast)
    image = try image + attention.gate * attended.image
    if isDual {
      let second = Modulation(parts[6..<9])
      image = try image + second.gate * selfAttention(second.entering(normed), layer["attn2"])
    }
    image = try image + feedForward(image, layer["ff"], Modulation(parts[3..<6]))
    if let attendedText = attended.text {
      text = try text + textParts[2] * attendedText
      text = try text + feedForward(text, layer["ff_context"], Modulation(textParts[3..<6]))
    }
  }

  /// A block of image tokens alone (`SD3SingleTransformerBlock`), `[rows, tokens, width]`.
  func imageBlock(_ index: Int, _ image: inout Value, time: LayerTable) throws(GraphError) {
    let layer = weights["transformer_blocks"][index]
    let parts = try modulation(of: layer["norm1"], time, count: 6)
    let attention = Modulation(parts[0..<3])
    let entered = try attention.entering(image.layerNorm(epsilon: Self.epsilon))
    image = try image + attention.gate * selfAttention(entered, layer["attn"])
    image = try image + feedForward(image, layer["ff"], Modulation(parts[3..<6]))
  }

  /// Attention of image and text to both of them as one sequence.
  ///
  /// If the text is not updated, its queries are not computed.
  private func jointAttention(
    _ image: Value, _ text: Value, _ layer: WeightScope, givesText: Bool
  ) throws(GraphError) -> (image: Value, text: Value?) {
    var query = try heads(of: image, layer["to_q"], norm: layer["norm_q"])
    if givesText {
      let added = try heads(of: text, layer["add_q_proj"], norm: layer["norm_added_q"])
      query = try .concatenated([query, added], axis: 2)
    }
    let key = try Value.concatenated(
      [
        heads(of: image, layer["to_k"], norm: layer["norm_k"]),
        heads(of: text, layer["add_k_proj"], norm: layer["norm_added_k"]),
      ], axis: 2)
    let value = try Value.concatenated(
      [heads(of: image, layer["to_v"]), heads(of: text, layer["add_v_proj"])], axis: 2)
    let attended = try query.headAttention(
      key: key, value: value, mask: repetitionMask(keyCount: key.shape[2], in: key.graph)
    ).joinedHeads()
    let (count, whole) = (image.shape[1], attended.shape[1])
    return (
      try attended.sliced(axis: 1, from: 0, to: count).linear(layer["to_out"][0]),
      givesText
        ? try attended.sliced(axis: 1, from: count, to: whole).linear(layer["to_add_out"]) : nil
    )
  }

  /// The logarithm of the number of equal tokens that each key stands for, `[1, 1, 1, keys]`; nil if
  /// each stands for itself.
  ///
  /// Added to the scores, it multiplies the weight of a key by that number.
  private func repetitionMask(keyCount: Int, in graph: Graph) -> Value? {
    let count = configuration.lastTextTokenCount
    guard count > 1 else { return nil }
    let logarithms = [Float](repeating: 0, count: keyCount - 1) + [Float(log(Double(count)))]
    return graph.constant(logarithms, shape: [1, 1, 1, keyCount])
  }

  /// Attention of image tokens to themselves.
  private func selfAttention(_ image: Value, _ layer: WeightScope) throws(GraphError) -> Value {
    try heads(of: image, layer["to_q"], norm: layer["norm_q"])
      .headAttention(
        key: heads(of: image, layer["to_k"], norm: layer["norm_k"]),
        value: heads(of: image, layer["to_v"])
      )
      .joinedHeads().linear(layer["to_out"][0])
  }

  /// The heads of a projection, normalized if queries and keys are.
  private func heads(
    of tokens: Value, _ projection: WeightScope, norm: WeightScope? = nil
  ) throws(GraphError) -> Value {
    let heads = try tokens.linear(projection).splitIntoHeads(configuration.headCount)
    guard let norm, configuration.normalizesQueries else { return heads }
    return try heads.rmsNorm(norm, epsilon: Self.epsilon)
  }

  /// The feed-forward of each token: two layers with GELU in its tanh form between them.
  private func feedForward(
    _ tokens: Value, _ layer: WeightScope, _ modulation: Modulation
  ) throws(GraphError) -> Value {
    let entered = try modulation.entering(tokens.layerNorm(epsilon: Self.epsilon))
    let hidden = try entered.linear(layer["net"][0]["proj"]).gelu(approximately: true)
    return try modulation.gate * hidden.linear(layer["net"][2])
  }
}
