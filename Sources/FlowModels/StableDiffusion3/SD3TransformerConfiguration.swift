/// The validated `transformer/config.json` of an `SD3Transformer2DModel`.
struct SD3TransformerConfiguration: Equatable, Sendable {
  /// The height and width of the latents in training.
  let sampleSize: Int
  /// The height and width of a patch of latents, which is one token.
  let patchSize: Int
  /// The channels of the latents.
  let channels: Int
  let layerCount: Int
  let headCount: Int
  let headWidth: Int
  /// The width of the text states.
  let textWidth: Int
  /// The width of the pooled text.
  let pooledWidth: Int
  /// The height and width of the table of positions, in tokens.
  let tableSize: Int
  /// The blocks with an additional self-attention of image tokens.
  let dualLayers: Set<Int>
  /// Whether queries and keys are normalized.
  let normalizesQueries: Bool

  /// The number of equal tokens for which the last token of the text stands.
  ///
  /// Tokens of text have no positions, so equal ones stay equal in every block, and attention to all
  /// of them is attention to one whose weight is multiplied by their number.
  var lastTextTokenCount = 1

  /// The width of a token.
  var width: Int { headCount * headWidth }

  /// The published networks.
  enum Variant: String {
    case sd3 = "Stable Diffusion 3"
    case medium = "Stable Diffusion 3.5 Medium"
    case large = "Stable Diffusion 3.5 Large"
  }

  /// The published network with this configuration.
  var variant: Variant { !dualLayers.isEmpty ? .medium : normalizesQueries ? .large : .sd3 }

  /// - Throws: `unsupported` for unsupported values.
  init(_ file: ConfigurationFile) throws(ModelError) {
    try file.require("_class_name", isOneOf: [.text("SD3Transformer2DModel")])
    let known: Set = [
      "sample_size", "patch_size", "in_channels", "out_channels", "num_layers",
      "attention_head_dim", "num_attention_heads", "joint_attention_dim", "caption_projection_dim",
      "pooled_projection_dim", "pos_embed_max_size", "dual_attention_layers", "qk_norm",
    ]
    for key in file.keys where !key.hasPrefix("_") && !known.contains(key) {
      try file.require(key, isOneOf: [])
    }
    try file.require("qk_norm", isOneOf: [.text("rms_norm")])
    // Without one, positions for other sizes would be interpolated.
    guard file["pos_embed_max_size"] != nil || !file.keys.contains("pos_embed_max_size") else {
      throw file.unsupported("pos_embed_max_size", expected: "the side of the position table")
    }
    sampleSize = try file.integer("sample_size", default: 128, in: 1...8192)
    patchSize = try file.integer("patch_size", default: 2, in: 1...64)
    channels = try file.integer("in_channels", default: 16, in: 1...4096)
    layerCount = try file.integer("num_layers", default: 18, in: 1...256)
    headCount = try file.integer("num_attention_heads", default: 18, in: 1...4096)
    headWidth = try file.integer("attention_head_dim", default: 64, in: 1...4096)
    textWidth = try file.integer("joint_attention_dim", default: 4096, in: 1...65536)
    pooledWidth = try file.integer("pooled_projection_dim", default: 2048, in: 1...65536)
    tableSize = try file.integer("pos_embed_max_size", default: 96, in: 1...8192)
    normalizesQueries = file["qk_norm"] != nil
    dualLayers =
      [nil, .list([])].contains(file["dual_attention_layers"])
      ? []
      : Set(
        try file.integers(
          "dual_attention_layers", default: [], count: nil, in: 0...layerCount - 1))
    guard try file.integer("out_channels", default: channels, in: 1...4096) == channels else {
      throw file.unsupported("out_channels", expected: "\(channels) (in_channels)")
    }
    guard try file.integer("caption_projection_dim", default: 1152, in: 1...65536) == width else {
      throw file.unsupported(
        "caption_projection_dim",
        expected: "\(width) (num_attention_heads * attention_head_dim)")
    }
  }
}
