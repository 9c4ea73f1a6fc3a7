internal import FlowCore
internal import FlowGraph

extension Flux2Transformer {
  /// A block of two streams with joint attention: shift, scale and gate of attention and of
  /// feed-forward for each stream.
  ///
  /// - Parameters:
  ///   - image: the tokens of the image and its references.
  ///   - text: the tokens of the text.
  ///   - layer: the block's weights.
  ///   - rotary: the positions of text, image and references.
  ///   - modulation: the modulation at the timestep.
  ///   - cached: rotated keys and values of references that are not among the tokens.
  /// - Throws: a `GraphError` for weights that do not match.
  func doubleBlock(
    image: Value, text: Value, _ layer: WeightScope, rotary: RotaryTable, modulation: LayerTable,
    cached: KeysAndValues? = nil
  ) throws(GraphError) -> (image: Value, text: Value) {
    let imageParts = try modulation.modulation(
      of: weights["double_stream_modulation_img"]["linear"], into: 6)
    let textParts = try modulation.modulation(
      of: weights["double_stream_modulation_txt"]["linear"], into: 6)
    let attention = layer["attn"]
    let imageHeads = try heads(normed(image, imageParts[0...]), attention, .image)
    let textHeads = try heads(normed(text, textParts[0...]), attention, .text)
    let attended = try textHeads.joined(with: imageHeads).rotated(rotary).attention(with: cached)
    let (count, all) = (text.shape[1], attended.shape[1])
    let textAttended = try attended.sliced(axis: 1, from: 0, to: count)
      .linear(attention["to_add_out"])
    let imageAttended = try attended.sliced(axis: 1, from: count, to: all)
      .linear(attention["to_out"][0])
    return (
      image: try fed(image + imageParts[2] * imageAttended, layer["ff"], imageParts[3...]),
      text: try fed(text + textParts[2] * textAttended, layer["ff_context"], textParts[3...])
    )
  }

  /// A block of one stream, text first: parallel attention and feed-forward with common input and
  /// output layers (Dehghani et al., 2023, arXiv:2302.05442).
  ///
  /// - Parameters:
  ///   - tokens: the tokens of text, image and references.
  ///   - layer: the block's weights.
  ///   - rotary: their positions.
  ///   - modulation: the modulation at the timestep.
  ///   - cached: rotated keys and values of references that are not among the tokens.
  /// - Returns: the tokens, and their rotated keys and values.
  /// - Throws: a `GraphError` for weights that do not match.
  func singleBlock(
    _ tokens: Value, _ layer: WeightScope, rotary: RotaryTable, modulation: LayerTable,
    cached: KeysAndValues? = nil
  ) throws(GraphError) -> (tokens: Value, own: KeysAndValues) {
    let parts = try modulation.modulation(
      of: weights["single_stream_modulation"]["linear"], into: 3)
    let entered = try normed(tokens, parts[0...])
    let attention = layer["attn"]
    let projection = attention["to_qkv_mlp_proj"]
    let width = configuration.width
    func heads(_ index: Int, norm: String? = nil) throws(GraphError) -> Value {
      let heads = try entered.linear(
        projection, outputs: index * width..<(index + 1) * width
      ).splitIntoHeads(configuration.headCount)
      guard let norm else { return heads }
      return try heads.rmsNorm(attention[norm], epsilon: configuration.epsilon)
    }
    let rotated = try AttentionHeads(
      query: heads(0, norm: "norm_q"), key: heads(1, norm: "norm_k"), value: heads(2)
    ).rotated(rotary)
    let attended = try rotated.attention(with: cached)
    let gated = try entered.swishGated(
      projection, outputs: 3 * width..<projection.shape(of: "weight")[0])
    let change = try Value.concatenated([attended, gated], axis: 2)
      .linear(attention["to_out"])
    return (try tokens + parts[2] * change, KeysAndValues(key: rotated.key, value: rotated.value))
  }

  /// What a double block makes of references alone, which read no text and no image.
  ///
  /// - Returns: the tokens, and their rotated keys and values.
  /// - Throws: a `GraphError` for weights that do not match.
  func referenceBlock(
    _ tokens: Value, _ layer: WeightScope, rotary: RotaryTable, modulation: LayerTable
  ) throws(GraphError) -> (tokens: Value, own: KeysAndValues) {
    let parts = try modulation.modulation(
      of: weights["double_stream_modulation_img"]["linear"], into: 6)
    let rotated = try heads(normed(tokens, parts[0...]), layer["attn"], .image).rotated(rotary)
    let attended = try rotated.attention(with: nil).linear(layer["attn"]["to_out"][0])
    let made = try fed(tokens + parts[2] * attended, layer["ff"], parts[3...])
    return (made, KeysAndValues(key: rotated.key, value: rotated.value))
  }

  /// The tokens normalized, scaled and shifted; the order is shift, scale.
  private func normed(_ tokens: Value, _ parts: ArraySlice<Value>) throws(GraphError) -> Value {
    let first = parts.startIndex
    return try tokens.layerNorm(epsilon: configuration.epsilon)
      .modulated(scale: parts[first + 1], shift: parts[first])
  }

  /// The tokens plus the output of the feed-forward.
  private func fed(
    _ tokens: Value, _ layer: WeightScope, _ parts: ArraySlice<Value>
  ) throws(GraphError) -> Value {
    let entering = layer["linear_in"]
    let change = try normed(tokens, parts)
      .swishGated(entering, outputs: 0..<entering.shape(of: "weight")[0])
      .linear(layer["linear_out"])
    return try tokens + parts[parts.startIndex + 2] * change
  }

  private func heads(
    _ tokens: Value, _ attention: WeightScope, _ layers: AttentionHeads.Layers
  ) throws(GraphError) -> AttentionHeads {
    try AttentionHeads(
      tokens, attention, layers, count: configuration.headCount,
      normEpsilon: configuration.epsilon)
  }
}
