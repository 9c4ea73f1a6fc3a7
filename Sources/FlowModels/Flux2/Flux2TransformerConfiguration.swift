internal import FlowCore

/// The validated `transformer/config.json` of a `Flux2Transformer2DModel`.
package struct Flux2TransformerConfiguration: Equatable, Sendable {
  /// The channels of the latents.
  package let channels: Int
  /// The number of blocks with separate weights for image and text.
  let layerCount: Int
  /// The number of blocks with image and text in one sequence.
  let singleLayerCount: Int
  let headCount: Int
  let headWidth: Int
  /// The width of the text's hidden states.
  package let textWidth: Int
  /// The number of sinusoids of a timestep and of a guidance scale.
  let timeWidth: Int
  /// The elements of a head that each axis of the positions rotates: image, row, column, text
  /// token.
  let axes: [Int]
  let theta: Double
  let epsilon: Float
  /// Whether the network reads the guidance scale.
  package let readsGuidance: Bool

  /// The width of a token.
  var width: Int { headCount * headWidth }

  package init(_ file: ConfigurationFile) throws(ModelError) {
    try file.require("_class_name", isOneOf: [.text("Flux2Transformer2DModel")])
    try file.require("patch_size", isOneOf: [.integer(1)])
    channels = try file.integer("in_channels", default: 128, in: 1...65536)
    try file.require("out_channels", isOneOf: [.integer(channels)])
    layerCount = try file.integer("num_layers", default: 8, in: 0...1024)
    singleLayerCount = try file.integer("num_single_layers", default: 48, in: 0...1024)
    headWidth = try file.integer("attention_head_dim", default: 128, in: 2...65536)
    headCount = try file.integer("num_attention_heads", default: 48, in: 1...4096)
    textWidth = try file.integer("joint_attention_dim", default: 15360, in: 1...1_000_000)
    timeWidth = try file.integer("timestep_guidance_channels", default: 256, in: 2...65536)
    axes = try file.integers(
      "axes_dims_rope", default: [32, 32, 32, 32], count: 4, in: 2...65536)
    theta = try file.number("rope_theta", default: 2000)
    epsilon = Float(try file.number("eps", default: 1e-6))
    readsGuidance = try file.bool("guidance_embeds", default: true)
    guard axes.reduce(0, +) == headWidth, axes.allSatisfy({ $0.isMultiple(of: 2) }) else {
      throw file.unsupported(
        "axes_dims_rope",
        expected: "even numbers whose sum is attention_head_dim (\(headWidth))")
    }
    guard theta > 0 else { throw file.unsupported("rope_theta", expected: "a number above 0") }
  }
}
