/// The validated `unet/config.json` of a `DreamLiteUNetModel`.
struct DreamLiteConfiguration: Equatable {
  /// The network as a UNet of Stable Diffusion with differences (``UNetConfiguration/Compact``).
  let unet: UNetConfiguration
  /// The width of the text encoder's hidden states, which the network projects.
  let textWidth: Int

  /// The numbers of `time_ids`: the width and the height of the image.
  private static let sizeCount = 2

  init(_ file: ConfigurationFile) throws(ModelError) {
    try file.require("_class_name", isOneOf: [.text("DreamLiteUNetModel")])
    for (key, value) in [
      ("encoder_hid_dim_type", "text_proj_rms"), ("addition_embed_type", "time"),
    ] {
      guard file[key] == .text(value) else {
        throw file.unsupported(key, expected: "\"\(value)\"")
      }
    }
    guard !file.keys.contains("mid_block_type") || file["mid_block_type"] != nil else {
      throw file.unsupported("mid_block_type", expected: "\"\(Self.middleTypes[0])\"")
    }
    try file.require("mid_block_type", isOneOf: Self.middleTypes.map { .text($0) })
    try file.require("qk_norm", isOneOf: [.text("rms_norm")])
    try file.require("num_attention_heads", isOneOf: [])
    textWidth = try file.integer("encoder_hid_dim", default: 2048, in: 1...65536)
    var unet = try UNetConfiguration(Self.standard(file))
    let count = unet.levels.count
    let (down, up) = (
      try Self.first(file, "down_block_types"), try Self.first(file, "up_block_types")
    )
    for index in unet.levels.indices {
      unet.levels[index].firstDown = down[index]
      unet.levels[index].firstUp = up[count - 1 - index]
    }
    unet.addition = try Self.addition(file)
    unet.compact = UNetConfiguration.Compact(
      separatesConvolutions: try file.bool("use_sep_conv", default: true),
      normalizesHeads: try file.text("qk_norm") != nil || !file.keys.contains("qk_norm"),
      sharedHeadCount: try Self.sharedHeadCount(file, unet),
      middleLayerCount: try file.integer("num_mid_layers", default: 1, in: 1...64))
    self.unet = unet
  }

  private static let (downTypes, upTypes): ([String: String], [String: String]) = (
    types("Down"), types("Up")
  )

  /// The standard block type of each of DreamLite's, which have names in its original repository
  /// and in diffusers.
  private static func types(_ direction: String) -> [String: String] {
    var types = ["DreamLite\(direction)Block2D": "\(direction)Block2D"]
    types["\(direction)Block2D"] = "\(direction)Block2D"
    let attending = "CrossAttn\(direction)Block2D"
    for name in [
      attending, "DreamLite\(attending)", "DreamLiteCrossAttnNoSelfAttn\(direction)Block2D",
      "CrossAttn\(direction)RemoveSelfAttnBlock2D", "CrossAttn\(direction)RemoveSelfAttnBlock2DV1",
    ] { types[name] = attending }
    return types
  }

  private static let middleTypes = ["DreamLiteUNetMidBlock2DCrossAttn", "UNetMidBlock2DCrossAttn"]

  private static let standardTypes = [
    "down_block_types": [
      "DreamLiteCrossAttnNoSelfAttnDownBlock2D", "DreamLiteCrossAttnNoSelfAttnDownBlock2D",
      "DreamLiteCrossAttnDownBlock2D",
    ],
    "up_block_types": [
      "DreamLiteCrossAttnUpBlock2D", "DreamLiteCrossAttnNoSelfAttnUpBlock2D",
      "DreamLiteUpBlock2D",
    ],
  ]

  /// The first attention of each block.
  private static func first(
    _ file: ConfigurationFile, _ key: String
  ) throws(ModelError) -> [UNetConfiguration.FirstAttention] {
    try file.texts(key, default: standardTypes[key] ?? []).map { name in
      name.contains("NoSelfAttn") || name.contains("RemoveSelfAttn") ? .absent : .image
    }
  }

  /// The configuration with the keys and block types of a `UNet2DConditionModel`.
  private static func standard(_ file: ConfigurationFile) throws(ModelError) -> ConfigurationFile {
    var values: [String: ConfigurationFile.Value] = [
      "block_out_channels": .list([320, 640, 1280].map { .integer($0) }),
      "attention_head_dim": .integer(64), "cross_attention_dim": .integer(2048),
      "sample_size": .integer(128),
    ]
    for key in file.keys {
      if let value = file[key] { values[key] = value }
    }
    values["_class_name"] = .text("UNet2DConditionModel")
    let levelCount = try file.integers(
      "block_out_channels", default: [320, 640, 1280], count: nil, in: 1...65536
    ).count
    guard
      try file.bools("only_cross_attention", default: false, count: levelCount)
        .allSatisfy({ !$0 })
    else { throw file.unsupported("only_cross_attention", expected: "false") }
    for (key, known) in [("down_block_types", downTypes), ("up_block_types", upTypes)] {
      let names = try file.texts(key, default: standardTypes[key] ?? [])
      let standard = names.compactMap { known[$0] }
      guard standard.count == names.count, names.count == levelCount else {
        throw file.unsupported(
          key,
          expected: "\(levelCount) of \(known.keys.sorted().joined(separator: ", "))")
      }
      values[key] = .list(standard.map { .text($0) })
    }
    values["mid_block_type"] = .text("UNetMidBlock2DCrossAttn")
    for key in ["encoder_hid_dim", "encoder_hid_dim_type", "addition_embed_type"] {
      values[key] = nil
    }
    return ConfigurationFile(path: file.path, values: values)
  }

  private static func addition(
    _ file: ConfigurationFile
  ) throws(ModelError) -> UNetConfiguration.Addition {
    let timeWidth = try file.integer("addition_time_embed_dim", default: 256, in: 2...65536)
    let width = sizeCount * timeWidth
    let inputs = try file.integer(
      "projection_class_embeddings_input_dim", default: width, in: 1...1_000_000)
    guard inputs == width else {
      throw file.unsupported(
        "projection_class_embeddings_input_dim",
        expected: "\(sizeCount) times addition_time_embed_dim (\(timeWidth))")
    }
    return UNetConfiguration.Addition(
      pooledWidth: 0, timeWidth: timeWidth, sizeCount: sizeCount)
  }

  private static func sharedHeadCount(
    _ file: ConfigurationFile, _ unet: UNetConfiguration
  ) throws(ModelError) -> Int? {
    // Absent and null differ here: the library's default, or all heads.
    if file.keys.contains("num_kv_heads"), file["num_kv_heads"] == nil { return nil }
    let count = try file.integer("num_kv_heads", default: 1, in: 1...4096)
    guard unet.levels.allSatisfy({ $0.headCount.isMultiple(of: count) }) else {
      throw file.unsupported(
        "num_kv_heads",
        expected: "a divisor of the heads of each level (\(unet.levels.map(\.headCount)))")
    }
    return count
  }
}
