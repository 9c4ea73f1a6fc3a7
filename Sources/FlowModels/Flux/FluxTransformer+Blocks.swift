internal import FlowCore
internal import FlowGraph

extension FluxTransformer {
  /// The tokens of the text and of the image, `[rows, tokens, width]`, which have separate layers.
  struct Streams {
    var text: Value
    var image: Value
  }

  /// Layer normalization, before scale and shift by the modulation.
  func norm(_ tokens: Value) throws(GraphError) -> Value {
    try tokens.layerNorm(epsilon: 1e-6)
  }

  /// Joint attention of both streams, and separate feed-forwards (`FluxTransformerBlock`).
  func doubleBlock(
    _ streams: Streams, _ block: WeightScope, _ time: LayerTable, _ rotary: RotaryTable
  ) throws(GraphError) -> Streams {
    let attention = block["attn"]
    // Shift, scale and gate of attention, followed by those of the feed-forward.
    let image = try time.modulation(of: block["norm1"]["linear"], into: 6)
    let text = try time.modulation(of: block["norm1_context"]["linear"], into: 6)
    let imageHeads = try heads(
      norm(streams.image).modulated(scale: image[1], shift: image[0]), attention,
      .image)
    let textHeads = try heads(
      norm(streams.text).modulated(scale: text[1], shift: text[0]), attention, .text)
    let attended = try textHeads.joined(with: imageHeads).attention(rotary)
    let count = streams.text.shape[1]
    let attendedText = try attended.sliced(axis: 1, from: 0, to: count)
    let attendedImage = try attended.sliced(axis: 1, from: count, to: attended.shape[1])
    return Streams(
      text: try feedForward(
        streams.text + text[2] * attendedText.linear(attention["to_add_out"]),
        block["ff_context"], text),
      image: try feedForward(
        streams.image + image[2] * attendedImage.linear(attention["to_out"][0]),
        block["ff"], image))
  }

  private func feedForward(
    _ tokens: Value, _ layer: WeightScope, _ modulation: [Value]
  ) throws(GraphError) -> Value {
    let widened = try norm(tokens).modulated(scale: modulation[4], shift: modulation[3])
      .linear(layer["net"][0]["proj"])
    return try tokens
      + modulation[5] * widened.gelu(approximately: true).linear(layer["net"][2])
  }

  /// Parallel attention and feed-forward of all tokens, with one common output layer
  /// (`FluxSingleTransformerBlock`).
  func singleBlock(
    _ tokens: Value, _ block: WeightScope, _ time: LayerTable, _ rotary: RotaryTable
  ) throws(GraphError) -> Value {
    let chunks = try time.modulation(of: block["norm"]["linear"], into: 3)
    let (shift, scale, gate) = (chunks[0], chunks[1], chunks[2])
    let entered = try norm(tokens).modulated(scale: scale, shift: shift)
    let attended = try heads(entered, block["attn"], .image).attention(rotary)
    let widened = try entered.linear(block["proj_mlp"]).gelu(approximately: true)
    return try tokens
      + gate * Value.concatenated([attended, widened], axis: 2).linear(block["proj_out"])
  }

  private func heads(
    _ tokens: Value, _ attention: WeightScope, _ layers: AttentionHeads.Layers
  ) throws(GraphError) -> AttentionHeads {
    try AttentionHeads(
      tokens, attention, layers, count: configuration.headCount, normEpsilon: 1e-6)
  }
}
