internal import FlowCore
internal import FlowGraph

// Derives the `config.json` of each network from the shapes of its tensors, as diffusers would have
// it. Other values are the published ones.

extension WeightStore {
  /// The shapes by name.
  var shapes: [String: Shape] { weights.mapValues(\.shape) }
}

extension [String: Shape] {
  /// The number of entries of a numbered layer.
  func count(of layer: String) -> Int {
    let prefix = layer + "."
    let numbers = keys.lazy.filter { $0.hasPrefix(prefix) }
      .compactMap { Int($0.dropFirst(prefix.count).prefix { $0 != "." }) }
    return Set(numbers).count
  }

  /// An extent of a tensor, or nil if there is no such tensor or axis.
  func extent(_ name: String, _ axis: Int) -> Int? {
    guard let shape = self[name], axis < shape.rank else { return nil }
    return shape[axis]
  }

  func has(_ layer: String) -> Bool { keys.contains { $0.hasPrefix(layer + ".") } }
}

extension ConfigurationFile.Value {
  fileprivate static func numbers(_ numbers: [Int]) -> Self { .list(numbers.map { .integer($0) }) }
}

extension UNetConfiguration {
  /// The number of heads of Stable Diffusion 1, and the head width of later versions.
  private static let (headCount, headWidth) = (8, 64)

  static func values(
    of shapes: [String: Shape], _ family: SingleFile.Family
  ) -> [String: ConfigurationFile.Value] {
    let count = shapes.count(of: "down_blocks")
    let channels = (0..<count).map { level in
      shapes.extent("down_blocks.\(level).resnets.0.conv1.weight", 0) ?? 0
    }
    func attends(_ block: String) -> Bool { shapes.has("\(block).attentions") }
    let attentions = [String](shapes.keys.filter { $0.hasSuffix(".attn2.to_k.weight") })
    let projections = shapes.keys.filter { $0.hasSuffix(".proj_in.weight") }
    let isLinear = projections.allSatisfy { shapes[$0]?.rank == 2 }
    let depths = (0..<count).map { level in
      let block = level == count - 1 ? "mid_block" : "down_blocks.\(level)"
      return max(shapes.count(of: "\(block).attentions.0.transformer_blocks"), 1)
    }
    let sizes: [SingleFile.Family: Int] = [.sd1: 64, .sd2: 96, .sdxl: 128]
    var values: [String: ConfigurationFile.Value] = [
      "_class_name": .text("UNet2DConditionModel"),
      "block_out_channels": .numbers(channels),
      "layers_per_block": .integer(shapes.count(of: "down_blocks.0.resnets")),
      "down_block_types": .list(
        (0..<count).map {
          .text(attends("down_blocks.\($0)") ? "CrossAttnDownBlock2D" : "DownBlock2D")
        }),
      "up_block_types": .list(
        (0..<count).map {
          .text(attends("up_blocks.\($0)") ? "CrossAttnUpBlock2D" : "UpBlock2D")
        }),
      "attention_head_dim": .numbers(channels.map { isLinear ? $0 / headWidth : headCount }),
      "transformer_layers_per_block": .numbers(depths),
      "use_linear_projection": .bool(isLinear),
      "cross_attention_dim": .integer(attentions.first.flatMap { shapes.extent($0, 1) } ?? 0),
      "in_channels": .integer(shapes.extent("conv_in.weight", 1) ?? 0),
      "out_channels": .integer(shapes.extent("conv_out.weight", 0) ?? 0),
      "sample_size": .integer(sizes[family] ?? 64),
    ]
    if let inputs = shapes.extent("add_embedding.linear_1.weight", 1) {
      values["addition_embed_type"] = .text("text_time")
      values["addition_time_embed_dim"] = .integer(256)
      values["projection_class_embeddings_input_dim"] = .integer(inputs)
    }
    return values
  }
}

extension FullAutoencoderConfiguration {
  static func values(
    of shapes: [String: Shape], latents: PublishedAutoencoder?
  ) -> [String: ConfigurationFile.Value] {
    // From the decoder: a file may lack the encoder.
    let count = shapes.count(of: "decoder.up_blocks")
    let channels = (0..<count).map { level in
      shapes.extent("decoder.up_blocks.\(count - 1 - level).resnets.0.conv1.weight", 0) ?? 0
    }
    func types(_ type: String) -> ConfigurationFile.Value {
      .list([ConfigurationFile.Value](repeating: .text(type), count: count))
    }
    let scale = (latents ?? .taesd).fullScale ?? (scalingFactor: 1, shiftFactor: 0)
    var values: [String: ConfigurationFile.Value] = [
      "_class_name": .text("AutoencoderKL"), "block_out_channels": .numbers(channels),
      "layers_per_block": .integer(shapes.count(of: "decoder.up_blocks.0.resnets") - 1),
      "latent_channels": .integer(shapes.extent("decoder.conv_in.weight", 1) ?? 0),
      "down_block_types": types("DownEncoderBlock2D"),
      "up_block_types": types("UpDecoderBlock2D"),
      "mid_block_add_attention": .bool(shapes.has("decoder.mid_block.attentions")),
      "scaling_factor": .number(scale.scalingFactor), "shift_factor": .number(scale.shiftFactor),
    ]
    guard isFlux2(shapes) else { return values }
    let encoder = (0..<count).map { level in
      shapes.extent("encoder.down_blocks.\(level).resnets.0.conv1.weight", 0) ?? channels[level]
    }
    values["_class_name"] = .text(flux2)
    values["block_out_channels"] = .numbers(encoder)
    values["decoder_block_out_channels"] = .numbers(channels)
    (values["scaling_factor"], values["shift_factor"]) = (nil, nil)
    return values
  }

  /// Whether the weights are FLUX.2's autoencoder, whose latents are normalized by statistics.
  static func isFlux2(_ shapes: [String: Shape]) -> Bool { shapes["bn.running_mean"] != nil }
}

extension CLIPTextConfiguration {
  /// The head width of all encoders of these families.
  private static let headWidth = 64

  static func values(
    of shapes: [String: Shape], activation: String
  ) -> [String: ConfigurationFile.Value] {
    let place = "embeddings.position_embedding.weight"
    let width = shapes.extent(place, 1) ?? 0
    return [
      "hidden_size": .integer(width),
      "max_position_embeddings": .integer(shapes.extent(place, 0) ?? 0),
      "num_hidden_layers": .integer(shapes.count(of: "encoder.layers")),
      "num_attention_heads": .integer(width / headWidth), "hidden_act": .text(activation),
    ]
  }
}
