internal import FlowCore
internal import FlowGraph

/// The validated `vae/config.json` of an `AutoencoderTiny`.
///
/// Besides diffusers' keys it may have `patch_size`, as that of `AutoencoderKLFlux2` has: the patches of
/// latents, such as `[2, 2]`, that form one latent pixel of the network, channels first.
package struct TinyAutoencoderConfiguration: Equatable, Sendable {
  let encoderChannels: [Int]
  let encoderBlocks: [Int]
  package let decoderChannels: [Int]
  let decoderBlocks: [Int]
  let latentChannels: Int
  let scalingFactor: Float
  let shiftFactor: Float
  /// The side of a patch of latents, which is one latent pixel of the network.
  let patchSide: Int

  init(_ file: ConfigurationFile) throws(ModelError) {
    try file.require("_class_name", isOneOf: [.text("AutoencoderTiny")])
    try file.require("act_fn", isOneOf: [.text("relu")])
    try file.require("upsample_fn", isOneOf: [.text("nearest")])
    try file.require("in_channels", isOneOf: [.integer(3)])
    try file.require("out_channels", isOneOf: [.integer(3)])
    try file.require("upsampling_scaling_factor", isOneOf: [.integer(2)])
    encoderChannels = try file.integers(
      "encoder_block_out_channels", default: [64, 64, 64, 64], count: nil, in: 1...8192)
    decoderChannels = try file.integers(
      "decoder_block_out_channels", default: [64, 64, 64, 64], count: nil, in: 1...8192)
    encoderBlocks = try file.integers(
      "num_encoder_blocks", default: [1, 3, 3, 3], count: encoderChannels.count, in: 0...64)
    decoderBlocks = try file.integers(
      "num_decoder_blocks", default: [3, 3, 3, 1], count: decoderChannels.count, in: 0...64)
    guard encoderChannels.count == decoderChannels.count else {
      throw file.unsupported(
        "decoder_block_out_channels", expected: "as many levels as the encoder has")
    }
    latentChannels = try file.integer("latent_channels", default: 4, in: 1...1024)
    scalingFactor = Float(try file.number("scaling_factor", default: 1))
    shiftFactor = Float(try file.number("shift_factor", default: 0))
    let patch = try file.integers("patch_size", default: [1, 1], count: 2, in: 1...64)
    guard patch[0] == patch[1] else {
      throw file.unsupported("patch_size", expected: "two that are the same")
    }
    patchSide = patch[0]
    guard (1...8).contains(decoderChannels.count) else {
      throw file.unsupported("decoder_block_out_channels", expected: "1 to 8 levels")
    }
    guard scalingFactor > 0 else {
      throw file.unsupported("scaling_factor", expected: "a number above 0")
    }
  }

  private init(latentChannels: Int, width: Int, patchSide: Int) {
    encoderChannels = [width, width, width, width]
    encoderBlocks = [1, 3, 3, 3]
    decoderChannels = encoderChannels
    decoderBlocks = [3, 3, 3, 1]
    self.latentChannels = latentChannels
    scalingFactor = 1
    shiftFactor = 0
    self.patchSide = patchSide
  }

  /// TAESD in its author's format, whose files have no configuration.
  ///
  /// TAEF2, which has 32 channels, decodes FLUX.2's normalized latents: patches of 2 x 2.
  static func taesd(latentChannels: Int, width: Int = 64) -> TinyAutoencoderConfiguration {
    TinyAutoencoderConfiguration(
      latentChannels: latentChannels, width: width, patchSide: latentChannels == 32 ? 2 : 1)
  }
}

/// The tiny autoencoder: `AutoencoderTiny`, TAESD (github.com/madebyollin/taesd).
package struct TinyAutoencoder {
  let configuration: TinyAutoencoderConfiguration
  let weights: WeightScope

  /// Encodes an image in the range 0 to 1.
  func encode(_ picture: Value) throws(GraphError) -> Value {
    let layers = weights["encoder"]["layers"]
    var index = 0
    func next() -> WeightScope {
      defer { index += 1 }
      return layers[index]
    }
    var hidden = picture
    for (level, blockCount) in configuration.encoderBlocks.enumerated() {
      hidden = try hidden.convolution(next(), stride: level == 0 ? 1 : 2, padding: 1)
      for _ in 0..<blockCount { hidden = try block(hidden, next()) }
    }
    let own = try hidden.convolution(next(), padding: 1)
    let latents = try (own + -configuration.shiftFactor) * configuration.scalingFactor
    let side = configuration.patchSide
    guard side > 1 else { return latents }
    return try latents.patches(side: side, order: .channelsFirst)
      .unflattened(height: latents.shape[2] / side, width: latents.shape[3] / side)
  }

  /// Decodes latents to an image in the range of about 0 to 1.
  func decode(_ latents: Value) throws(GraphError) -> Value {
    var hidden = latents
    for level in configuration.decoderBlocks.indices { hidden = try decode(hidden, level: level) }
    return hidden
  }

  /// One level of the decoder; the first one reads latents, the last one outputs an image.
  func decode(_ input: Value, level: Int) throws(GraphError) -> Value {
    try decode(input, level: level, blocks: 0..<configuration.decoderBlocks[level])
  }

  /// Some residual blocks of a level of the decoder, with what comes before its first block and after
  /// its last one.
  func decode(_ input: Value, level: Int, blocks: Range<Int>) throws(GraphError) -> Value {
    let layers = weights["decoder"]["layers"]
    let count = configuration.decoderBlocks[level]
    let first = firstBlock(of: level)
    var hidden = input
    if level == 0, blocks.lowerBound == 0 {
      let unscaled =
        try joined(input) * (1 / configuration.scalingFactor) + configuration.shiftFactor
      hidden = try ((unscaled * (1 / 3)).tanh() * 3).convolution(layers[0], padding: 1).relu()
    }
    for index in blocks { hidden = try block(hidden, layers[first + index]) }
    guard blocks.upperBound == count else { return hidden }
    guard level < configuration.decoderBlocks.count - 1 else {
      return try hidden.convolution(layers[first + count], padding: 1)
    }
    hidden = try hidden.upsampledNearest(height: hidden.shape[2] * 2, width: hidden.shape[3] * 2)
    return try hidden.convolution(layers[first + count + 1], padding: 1)
  }

  /// The decoder's own latents, for those of the network.
  private func joined(_ latents: Value) throws(GraphError) -> Value {
    let side = configuration.patchSide
    guard side > 1 else { return latents }
    return try latents.flattenedToTokens().joinedPatches(
      side: side, order: .channelsFirst, height: side * latents.shape[2],
      width: side * latents.shape[3])
  }

  /// The number of the first block of a level among the decoder's layers, which include the first
  /// activation and each upscaling.
  private func firstBlock(of level: Int) -> Int {
    2 + configuration.decoderBlocks[..<level].reduce(0) { $0 + $1 + 2 }
  }

  /// Whether a level of the decoder has blocks that normalize over the whole image.
  func normalizesImage(level: Int) -> Bool {
    let first = firstBlock(of: level)
    return (0..<configuration.decoderBlocks[level]).contains {
      weights["decoder"]["layers"][first + $0].has("pool.0.weight")
    }
  }

  private func block(_ input: Value, _ layer: WeightScope) throws(GraphError) -> Value {
    var input = input
    if layer.has("pool.0.weight") {
      // In TAEF2, at the size of the latents. The groups are fixed in its code.
      let pool = layer["pool"]
      input =
        try input
        + input.convolution(pool[0]).groupNorm(pool[1], groups: 4, epsilon: 1e-5).relu()
        .convolution(pool[3])
    }
    let convolutions = layer["conv"]
    let hidden = try input.convolution(convolutions[0], padding: 1).relu()
      .convolution(convolutions[2], padding: 1).relu()
      .convolution(convolutions[4], padding: 1)
    let skip = layer.has("skip.weight") ? try input.convolution(layer["skip"]) : input
    return try (hidden + skip).relu()
  }
}

extension WeightStore {
  /// The weights of TAESD's own files, `taesd_encoder` and `taesd_decoder`, with diffusers' names.
  ///
  /// Those files number the layers of a plain sequence. The decoder starts with a clamp, so its
  /// numbers are higher by one.
  static func taesd(encoder: WeightStore?, decoder: WeightStore) throws(GraphError) -> WeightStore {
    func renumbered(_ store: WeightStore, _ part: String, shift: Int) -> WeightStore {
      store.renamed { name in
        let pieces = name.split(separator: ".", maxSplits: 1)
        guard pieces.count == 2, let index = Int(pieces[0]), index >= shift else { return nil }
        return "\(part).layers.\(index - shift).\(pieces[1])"
      }
    }
    let decoder = renumbered(decoder, "decoder", shift: 1)
    guard let encoder else { return decoder }
    return decoder.merging(renumbered(encoder, "encoder", shift: 0))
  }
}
