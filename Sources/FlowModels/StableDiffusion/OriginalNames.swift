/// Converts layer names of the original repositories (LDM, sgm) to diffusers' names.
///
/// Single-file checkpoints use the original names, and so do LoRAs trained on them. LoRAs join the
/// components of names with underscores; both separators are accepted here.
enum OriginalNames {
  /// A name of a UNet; nil for other names.
  ///
  /// - Parameter layersPerBlock: the residual blocks of each downsampling level.
  static func unet(_ name: String, layersPerBlock: Int) -> String? {
    var reader = NameReader(name)
    for (original, current) in plain where reader.take(original) { return current + reader.rest }
    if reader.take("middle_block"), let index = reader.takeNumber() {
      switch index {
      case 0, 2: return residual(reader.rest).map { "mid_block.resnets.\(index / 2)\($0)" }
      case 1: return "mid_block.attentions.0\(reader.rest)"
      default: return nil
      }
    }
    let count = layersPerBlock + 1
    if reader.take("input_blocks"), let index = reader.takeNumber(), index > 0,
      let part = reader.takeNumber()
    {
      let block = "down_blocks.\((index - 1) / count)"
      let layer = (index - 1) % count
      if part == 0, reader.take("op") { return "\(block).downsamplers.0.conv\(reader.rest)" }
      if part == 0 { return residual(reader.rest).map { "\(block).resnets.\(layer)\($0)" } }
      return part == 1 ? "\(block).attentions.\(layer)\(reader.rest)" : nil
    }
    if reader.take("output_blocks"), let index = reader.takeNumber(),
      let part = reader.takeNumber()
    {
      let block = "up_blocks.\(index / count)"
      let layer = index % count
      if part == 0 { return residual(reader.rest).map { "\(block).resnets.\(layer)\($0)" } }
      // The upscaling layer is third if there is attention, else second.
      if reader.take("conv") { return "\(block).upsamplers.0.conv\(reader.rest)" }
      return part == 1 ? "\(block).attentions.\(layer)\(reader.rest)" : nil
    }
    return nil
  }

  /// A name of a full autoencoder with `levelCount` levels; nil for other names.
  static func autoencoder(_ name: String, levelCount: Int) -> String? {
    var reader = NameReader(name)
    for layer in ["quant_conv", "post_quant_conv"] where reader.take(layer) {
      return layer + reader.rest
    }
    // The statistics of FLUX.2's latents.
    if reader.take("bn") { return "bn\(reader.rest)" }
    guard let half = ["encoder", "decoder"].first(where: { reader.take($0) }) else { return nil }
    // FLUX.2's encoder and decoder contain them.
    for layer in ["quant_conv", "post_quant_conv"] where reader.take(layer) {
      return layer + reader.rest
    }
    for (original, current) in [
      ("conv_in", "conv_in"), ("conv_out", "conv_out"), ("norm_out", "conv_norm_out"),
    ] where reader.take(original) { return "\(half).\(current)\(reader.rest)" }
    if reader.take("mid") {
      if reader.take("block_1") { return "\(half).mid_block.resnets.0\(shortcut(reader.rest))" }
      if reader.take("block_2") { return "\(half).mid_block.resnets.1\(shortcut(reader.rest))" }
      guard reader.take("attn_1"),
        let (_, current) = attention.first(where: { reader.take($0.original) })
      else { return nil }
      return "\(half).mid_block.attentions.0.\(current)\(reader.rest)"
    }
    let isDown = reader.take("down")
    guard isDown || reader.take("up"), let level = reader.takeNumber(), level < levelCount else {
      return nil
    }
    let block =
      isDown ? "\(half).down_blocks.\(level)" : "\(half).up_blocks.\(levelCount - 1 - level)"
    if reader.take("downsample") { return "\(block).downsamplers.0\(reader.rest)" }
    if reader.take("upsample") { return "\(block).upsamplers.0\(reader.rest)" }
    guard reader.take("block"), let layer = reader.takeNumber() else { return nil }
    return "\(block).resnets.\(layer)\(shortcut(reader.rest))"
  }

  /// A name of OpenCLIP's text encoder in transformers' CLIP naming; nil for other names.
  ///
  /// The queries, keys and values of a layer, which are one tensor there, keep that name.
  static func openCLIP(_ name: String) -> String? {
    switch name {
    case "positional_embedding": return "embeddings.position_embedding.weight"
    case "text_projection": return "text_projection.weight"
    default: break
    }
    var reader = NameReader(name)
    if reader.take("token_embedding") { return "embeddings.token_embedding\(reader.rest)" }
    if reader.take("ln_final") { return "final_layer_norm\(reader.rest)" }
    guard reader.take("transformer"), reader.take("resblocks"), let layer = reader.takeNumber(),
      let (_, current) = openCLIPLayers.first(where: { reader.take($0.original) })
    else { return nil }
    return "encoder.layers.\(layer).\(current)\(reader.rest)"
  }

  private static let plain = [
    ("time_embed.0", "time_embedding.linear_1"), ("time_embed.2", "time_embedding.linear_2"),
    ("label_emb.0.0", "add_embedding.linear_1"), ("label_emb.0.2", "add_embedding.linear_2"),
    ("input_blocks.0.0", "conv_in"), ("out.0", "conv_norm_out"), ("out.2", "conv_out"),
  ]
  private static let attention: [(original: String, current: String)] = [
    ("norm", "group_norm"), ("q", "to_q"), ("k", "to_k"), ("v", "to_v"),
    ("proj_out", "to_out.0"),
  ]
  private static let openCLIPLayers: [(original: String, current: String)] = [
    ("ln_1", "layer_norm1"), ("ln_2", "layer_norm2"),
    ("attn.out_proj", "self_attn.out_proj"), ("attn", "self_attn"), ("mlp.c_fc", "mlp.fc1"),
    ("mlp.c_proj", "mlp.fc2"),
  ]

  private static func residual(_ rest: String) -> String? {
    var reader = NameReader(rest)
    for (original, current) in [
      ("in_layers.0", "norm1"), ("in_layers.2", "conv1"), ("emb_layers.1", "time_emb_proj"),
      ("out_layers.0", "norm2"), ("out_layers.3", "conv2"), ("skip_connection", "conv_shortcut"),
    ] where reader.take(original) { return ".\(current)\(reader.rest)" }
    return nil
  }

  private static func shortcut(_ rest: String) -> String {
    var reader = NameReader(rest)
    return reader.take("nin_shortcut") ? ".conv_shortcut\(reader.rest)" : rest
  }
}
