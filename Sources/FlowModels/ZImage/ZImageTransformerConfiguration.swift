internal import FlowCore

/// The validated `transformer/config.json` of a `ZImageTransformer2DModel`.
package struct ZImageTransformerConfiguration: Equatable, Sendable {
  /// The channels of the latents.
  package let channels: Int
  /// The side of a patch of latent pixels, which is one token.
  static let patchSide = 2
  /// Image and text tokens are padded to a multiple of this.
  package static let tokenMultiple = 32
  /// The width of a token.
  let width: Int
  let layerCount: Int
  /// The number of blocks for image and text each, before they are joined.
  let refinerCount: Int
  let headCount: Int
  let normEpsilon: Float
  /// Whether queries and keys are normalized.
  let normalizesHeads: Bool
  /// The width of the text's hidden states.
  package let textWidth: Int
  let theta: Double
  /// The factor from `1 - sigma` to the timestep.
  let timeScale: Float
  /// The elements of a head that each axis of the positions rotates: text and image, row, column.
  let axes: [Int]
  /// The number of positions of each axis.
  let axisLengths: [Int]

  package init(_ file: ConfigurationFile) throws(ModelError) {
    try file.require("_class_name", isOneOf: [.text("ZImageTransformer2DModel")])
    try file.require("all_patch_size", isOneOf: [.list([.integer(Self.patchSide)])])
    try file.require("all_f_patch_size", isOneOf: [.list([.integer(1)])])
    // Only the editing variant reads images besides the text.
    try file.require("siglip_feat_dim", isOneOf: [])
    channels = try file.integer("in_channels", default: 16, in: 1...4096)
    width = try file.integer("dim", default: 3840, in: 1...65536)
    layerCount = try file.integer("n_layers", default: 30, in: 1...1024)
    refinerCount = try file.integer("n_refiner_layers", default: 2, in: 0...1024)
    headCount = try file.integer("n_heads", default: 30, in: 1...4096)
    try file.require("n_kv_heads", isOneOf: [.integer(headCount)])
    normEpsilon = Float(try file.number("norm_eps", default: 1e-5))
    normalizesHeads = try file.bool("qk_norm", default: true)
    textWidth = try file.integer("cap_feat_dim", default: 2560, in: 1...65536)
    theta = try file.number("rope_theta", default: 256)
    timeScale = Float(try file.number("t_scale", default: 1000))
    axes = try file.integers("axes_dims", default: [32, 48, 48], count: 3, in: 2...65536)
    axisLengths = try file.integers(
      "axes_lens", default: [1024, 512, 512], count: 3, in: 1...1_000_000)
    guard width.isMultiple(of: headCount), axes.reduce(0, +) == width / headCount,
      axes.allSatisfy({ $0.isMultiple(of: 2) })
    else {
      throw file.unsupported(
        "axes_dims",
        expected: "even numbers whose sum is the width of a head, dim / n_heads "
          + "(\(width) / \(headCount))")
    }
    guard theta > 0 else { throw file.unsupported("rope_theta", expected: "a number above 0") }
  }
}
