/// The checked `unet/config.json` of a `UNet2DConditionModel`.
public struct UNetConfiguration: Equatable, Sendable {
  /// One level of the network, from the highest resolution to the lowest.
  struct Level: Equatable {
    let channels: Int
    let layerCount: Int
    let headCount: Int
    let transformerLayerCount: Int
    let attendsDown: Bool
    let attendsUp: Bool
    /// The attention before cross-attention in the down block and in the up block.
    var (firstDown, firstUp) = (FirstAttention.image, FirstAttention.image)
  }

  /// What the first attention of a transformer block attends to.
  enum FirstAttention: Equatable {
    /// The image: self-attention.
    case image
    /// The text (`only_cross_attention`), as in SDXS.
    case text
    /// There is none: the block continues with the normalized image, as in DreamLite.
    case absent
  }

  var levels: [Level]
  let inputChannels: Int
  let outputChannels: Int
  /// Whether the network reads a mask and the latents of the masked image beside its latents.
  var readsMaskedImage: Bool { inputChannels > outputChannels }
  let conditioningWidth: Int
  let sampleSize: [Int]
  let usesLinearProjection: Bool
  let normGroups: Int
  let normEpsilon: Float
  let downsamplePadding: Int
  let cosineFirst: Bool
  let frequencyShift: Float
  let hasMiddle: Bool
  /// Whether the middle block attends to the text; otherwise it is one residual block
  /// (`UNetMidBlock2D`), as in small ControlNets.
  var attendsInMiddle = true
  /// The ratio of sides by which keys and values of the largest self-attention are downsampled; 1
  /// for all of them.
  var keyDownsampling = 1
  /// The highest level with self-attention, which has the most positions.
  var largestAttention: Int? {
    levels.firstIndex {
      ($0.attendsDown && $0.firstDown == .image) || ($0.attendsUp && $0.firstUp == .image)
    }
  }
  /// The differences of DreamLite's network.
  var compact: Compact?
  /// The additional inputs of the time embedding: pooled text and sizes (Stable Diffusion XL), or
  /// sizes (DreamLite).
  var addition: Addition?
  /// The width of the guidance scale's sinusoids, if the network reads it (LCM).
  let guidanceWidth: Int?

  /// The embedding of pooled text and sizes (`text_time`), or of sizes alone (`time`).
  struct Addition: Equatable {
    /// The width of the pooled text; 0 if the network reads none.
    let pooledWidth: Int
    /// The width of the sinusoids of each size.
    let timeWidth: Int
    /// The number of sizes, ``textSizeCount`` for `text_time`.
    let sizeCount: Int
    /// The numbers of `time_ids`: original height and width, top and left of the crop, target
    /// height and width (Podell et al., 2023, arXiv:2307.01952, section 2.2).
    static let textSizeCount = 6
  }

  /// The differences of DreamLite's network (arXiv:2603.28713).
  struct Compact: Equatable {
    /// Whether the convolutions of residual blocks are depthwise, followed by pointwise ones.
    let separatesConvolutions: Bool
    /// Whether queries and keys are normalized.
    let normalizesHeads: Bool
    /// The number of key and value heads, each shared by several query heads; nil for one for each.
    let sharedHeadCount: Int?
    /// The number of transformers in the middle block.
    let middleLayerCount: Int
  }

  init(_ file: ConfigurationFile) throws(ModelError) {
    try Self.refuseUnsupported(file)
    let channels = try file.integers(
      "block_out_channels", default: [320, 640, 1280, 1280], count: nil, in: 1...65536)
    let count = channels.count
    guard (1...8).contains(count) else {
      throw file.unsupported("block_out_channels", expected: "1 to 8 levels")
    }
    let down = try file.texts(
      "down_block_types",
      default: [
        "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D",
      ])
    let up = try file.texts(
      "up_block_types",
      default: ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"])
    let attendsDown = try Self.attention(
      down, key: "down_block_types", plain: "DownBlock2D", attending: "CrossAttnDownBlock2D",
      count: count, file)
    let attendsUp = try Self.attention(
      up, key: "up_block_types", plain: "UpBlock2D", attending: "CrossAttnUpBlock2D", count: count,
      file)
    let layers = try file.integers(
      "layers_per_block", default: [Int](repeating: 2, count: count), count: count, in: 1...64)
    // The number of heads is stored as "attention_head_dim", a historical mistake of the format.
    let headKey = file["num_attention_heads"] == nil ? "attention_head_dim" : "num_attention_heads"
    let heads = try file.integers(
      headKey, default: [Int](repeating: 8, count: count), count: count, in: 1...4096)
    let depths = try file.integers(
      "transformer_layers_per_block", default: [Int](repeating: 1, count: count), count: count,
      in: 1...64)
    let first = try file.bools("only_cross_attention", default: false, count: count)
      .map { $0 ? FirstAttention.text : .image }
    levels = (0..<count).map { index in
      Level(
        channels: channels[index], layerCount: layers[index], headCount: heads[index],
        transformerLayerCount: depths[index], attendsDown: attendsDown[index],
        attendsUp: attendsUp[count - 1 - index], firstDown: first[index], firstUp: first[index])
    }
    inputChannels = try file.integer("in_channels", default: 4, in: 1...4096)
    outputChannels = try file.integer("out_channels", default: 4, in: 1...4096)
    guard inputChannels == outputChannels || inputChannels == 2 * outputChannels + 1 else {
      throw file.unsupported(
        "in_channels",
        expected:
          "\(outputChannels), the latents, or \(2 * outputChannels + 1), the latents, a mask "
          + "and the latents of the masked image (inpainting)")
    }
    conditioningWidth = try file.integer("cross_attention_dim", default: 1280, in: 1...65536)
    let size = try file.integers("sample_size", default: [64], count: nil, in: 1...8192)
    guard size.count <= 2 else {
      throw file.unsupported("sample_size", expected: "one number or two")
    }
    sampleSize = size.count == 1 ? [size[0], size[0]] : size
    usesLinearProjection = try file.bool("use_linear_projection", default: false)
    normGroups = try file.integer("norm_num_groups", default: 32, in: 1...4096)
    normEpsilon = Float(try file.number("norm_eps", default: 1e-5))
    downsamplePadding = try file.integer("downsample_padding", default: 1, in: 0...1)
    cosineFirst = try file.bool("flip_sin_to_cos", default: true)
    frequencyShift = Float(try file.number("freq_shift", default: 0))
    hasMiddle = try file.text("mid_block_type") != nil || !file.keys.contains("mid_block_type")
    guidanceWidth =
      file["time_cond_proj_dim"] == nil
      ? nil : try file.integer("time_cond_proj_dim", default: 256, in: 2...65536)
    addition = try Self.addition(file)
  }

  private static func addition(_ file: ConfigurationFile) throws(ModelError) -> Addition? {
    try file.require("addition_embed_type", isOneOf: [.text("text_time")])
    guard file["addition_embed_type"] != nil else { return nil }
    let timeWidth = try file.integer("addition_time_embed_dim", default: 256, in: 2...65536)
    let inputs = try file.integer(
      "projection_class_embeddings_input_dim", default: 2816, in: 1...1_000_000)
    let sizeCount = Addition.textSizeCount
    let pooledWidth = inputs - sizeCount * timeWidth
    guard pooledWidth > 0 else {
      throw file.unsupported(
        "projection_class_embeddings_input_dim",
        expected: "more than \(sizeCount) times addition_time_embed_dim (\(timeWidth))")
    }
    return Addition(pooledWidth: pooledWidth, timeWidth: timeWidth, sizeCount: sizeCount)
  }

  private static func attention(
    _ types: [String], key: String, plain: String, attending: String, count: Int,
    _ file: ConfigurationFile
  ) throws(ModelError) -> [Bool] {
    guard types.count == count, types.allSatisfy({ $0 == plain || $0 == attending }) else {
      throw file.unsupported(key, expected: "\(count) of \(plain) and \(attending)")
    }
    return types.map { $0 == attending }
  }

  private static func refuseUnsupported(_ file: ConfigurationFile) throws(ModelError) {
    try file.require("_class_name", isOneOf: [.text("UNet2DConditionModel")])
    try file.require("act_fn", isOneOf: [.text("silu"), .text("swish")])
    try file.require("mid_block_type", isOneOf: [.text("UNetMidBlock2DCrossAttn")])
    try file.require("time_embedding_type", isOneOf: [.text("positional")])
    try file.require("resnet_time_scale_shift", isOneOf: [.text("default")])
    try file.require("attention_type", isOneOf: [.text("default")])
    try file.require("mid_block_scale_factor", isOneOf: [.integer(1), .number(1)])
    try file.require("resnet_out_scale_factor", isOneOf: [.integer(1), .number(1)])
    for key in ["conv_in_kernel", "conv_out_kernel"] {
      try file.require(key, isOneOf: [.integer(3)])
    }
    for key in [
      "center_input_sample", "dual_cross_attention", "resnet_skip_time_act",
      "class_embeddings_concat",
    ] { try file.require(key, isOneOf: [.bool(false)]) }
    for key in [
      "class_embed_type", "num_class_embeds", "encoder_hid_dim", "encoder_hid_dim_type",
      "time_embedding_dim", "timestep_post_act",
      "time_embedding_act_fn", "cross_attention_norm", "reverse_transformer_layers_per_block",
    ] { try file.require(key, isOneOf: []) }
  }
}
