internal import FlowCore
internal import FlowGraph

/// The checked `config.json` of a `T2IAdapter`, or the equivalent from the tensors of an original
/// file.
struct T2IAdapterConfiguration: Equatable {
  /// The architecture of its stages.
  enum Kind: String, CaseIterable {
    /// A stage for each level of Stable Diffusion 1, each half the resolution of the previous one.
    case full = "full_adapter"
    /// Stages of Stable Diffusion XL, only the third of which halves the resolution.
    case fullXL = "full_adapter_xl"
    /// Stages with a quarter of the channels, as in the color adapter.
    case light = "light_adapter"
  }

  let kind: Kind
  /// The channels of the image: 3, or 1 for its luma.
  let inputChannels: Int
  /// The channels of each stage's features.
  let channels: [Int]
  let blockCount: Int
  /// The factor of the pixel unshuffle before the first layer.
  let factor: Int

  /// The allowed factors.
  private static let factors = 1...64

  init(_ file: ConfigurationFile) throws(ModelError) {
    try file.require("_class_name", isOneOf: [.text("T2IAdapter")])
    kind = try file.choice("adapter_type", default: .full)
    inputChannels = try file.integer("in_channels", default: 3, in: 1...3)
    guard inputChannels != 2 else { throw file.unsupported("in_channels", expected: "1 or 3") }
    let channels = try file.integers(
      "channels", default: [320, 640, 1280, 1280], count: nil, in: 1...65536)
    guard (1...8).contains(channels.count) else {
      throw file.unsupported("channels", expected: "1 to 8 stages")
    }
    blockCount = try file.integer("num_res_blocks", default: 2, in: 1...64)
    factor = try file.integer("downscale_factor", default: 8, in: Self.factors)
    switch kind {
    case .full: break
    case .fullXL:
      // The reference's other stages have equal numbers of input and output channels.
      guard channels.count >= 3, Set(channels[2...]).count == 1 else {
        throw file.unsupported(
          "channels", expected: "3 stages or more, from the third on of equal channels")
      }
    case .light:
      guard channels.allSatisfy({ $0.isMultiple(of: 4) }) else {
        throw file.unsupported("channels", expected: "multiples of 4")
      }
    }
    // The last stage of a light adapter has the channels of the previous one.
    self.channels = kind == .light ? channels + channels.suffix(1) : channels
  }

  /// Whether a stage halves the resolution.
  func isHalved(_ stage: Int) -> Bool { kind == .fullXL ? stage == 2 : stage > 0 }

  /// The input channels of a stage.
  func inputs(of stage: Int) -> Int {
    guard stage == 0 else { return channels[stage - 1] }
    return kind == .light ? inputChannels * factor * factor : channels[0]
  }

  /// The ratio of the image's resolution to that of a stage's features.
  func factor(of stage: Int) -> Int {
    (0...stage).reduce(factor) { isHalved($1) ? $0 * 2 : $0 }
  }

  /// The names of all its weights, in diffusers' naming without `adapter.`.
  var weightNames: Set<String> {
    var layers = kind == .light ? [] : ["conv_in"]
    for stage in channels.indices {
      if kind == .light {
        layers += ["body.\(stage).in_conv", "body.\(stage).out_conv"]
      } else if inputs(of: stage) != channels[stage] {
        layers.append("body.\(stage).in_conv")
      }
      for block in 0..<blockCount {
        layers += ["block1", "block2"].map { "body.\(stage).resnets.\(block).\($0)" }
      }
    }
    return Set(layers.flatMap { ["\($0).weight", "\($0).bias"] })
  }
}
