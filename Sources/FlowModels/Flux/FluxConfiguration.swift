/// The validated `transformer/config.json` of a `FluxTransformer2DModel`.
public struct FluxTransformerConfiguration: Equatable, Sendable {
  /// The number of blocks with separate layers for image and text.
  let doubleBlockCount: Int
  /// The number of blocks with image and text in one sequence.
  let singleBlockCount: Int
  let headCount: Int
  let headWidth: Int
  /// The channels of the latents; a token contains those of 2 x 2 latent pixels.
  let channels: Int
  /// The channels of the mask that the network reads beside the latents of the masked image, one for
  /// each pixel of a latent pixel (FLUX.1 Fill); 0 if it reads none.
  let maskChannels: Int
  /// The width of a text's hidden states.
  let textWidth: Int
  /// The width of the pooled text.
  let pooledWidth: Int
  /// Whether the network reads the guidance scale.
  let readsGuidance: Bool
  /// The elements of a head that each axis of a position rotates: image index, row, column.
  let rotaryAxes: [Int]

  /// The width of a token's states.
  var width: Int { headCount * headWidth }
  /// The side of the patch of latents that forms a token.
  static let patchSide = 2
  /// The base of the rotary embedding's frequencies.
  static let theta = 10000.0
  /// The number of sinusoids of a timestep.
  static let sinusoidCount = 256

  init(_ file: ConfigurationFile) throws(ModelError) {
    try file.require("_class_name", isOneOf: [.text("FluxTransformer2DModel")])
    try file.require("patch_size", isOneOf: [.integer(1)])
    let known: Set = [
      "patch_size", "in_channels", "out_channels", "num_layers", "num_single_layers",
      "attention_head_dim", "num_attention_heads", "joint_attention_dim", "pooled_projection_dim",
      "guidance_embeds", "axes_dims_rope",
    ]
    for key in file.keys where !key.hasPrefix("_") && !known.contains(key) {
      try file.require(key, isOneOf: [])
    }
    let inputs = try file.integer("in_channels", default: 64, in: 1...65536)
    let area = Self.patchSide * Self.patchSide
    guard inputs.isMultiple(of: area) else {
      throw file.unsupported("in_channels", expected: "a multiple of \(area)")
    }
    let outputs = try file.integer("out_channels", default: inputs, in: 1...65536)
    guard outputs.isMultiple(of: area) else {
      throw file.unsupported("out_channels", expected: "a multiple of \(area)")
    }
    channels = outputs / area
    maskChannels = inputs == outputs ? 0 : inputs / area - 2 * channels
    guard inputs == outputs || maskChannels > 0 else {
      throw file.unsupported(
        "out_channels",
        expected: "\(inputs), as in_channels, or less than half of it for a masked image (FLUX.1 "
          + "Fill)")
    }
    doubleBlockCount = try file.integer("num_layers", default: 19, in: 1...256)
    singleBlockCount = try file.integer("num_single_layers", default: 38, in: 0...256)
    headWidth = try file.integer("attention_head_dim", default: 128, in: 2...4096)
    headCount = try file.integer("num_attention_heads", default: 24, in: 1...4096)
    textWidth = try file.integer("joint_attention_dim", default: 4096, in: 1...65536)
    pooledWidth = try file.integer("pooled_projection_dim", default: 768, in: 1...65536)
    readsGuidance = try file.bool("guidance_embeds", default: false)
    rotaryAxes = try file.integers(
      "axes_dims_rope", default: [16, 56, 56], count: 3, in: 2...4096)
    guard rotaryAxes.allSatisfy({ $0.isMultiple(of: 2) }), rotaryAxes.reduce(0, +) == headWidth
    else {
      throw file.unsupported(
        "axes_dims_rope",
        expected: "3 even numbers that add up to attention_head_dim (\(headWidth))")
    }
  }
}
