internal import FlowCore
internal import FlowGraph

/// The checked `image_encoder/config.json` of a `CLIPVisionModelWithProjection`.
struct CLIPVisionConfiguration: Equatable {
  /// The width of a hidden state.
  let width: Int
  /// The width of the image embedding.
  let projectionWidth: Int
  let layerCount: Int
  let headCount: Int
  /// The side in pixels of its input image.
  let imageSide: Int
  /// The side in pixels of a patch, each of which is a token.
  let patchSide: Int
  let activation: CLIPActivation
  let epsilon: Float

  /// - Parameter file: the configuration of the image encoder, or of a whole CLIP that contains it.
  init(_ file: ConfigurationFile) throws(ModelError) {
    try file.require("model_type", isOneOf: [.text("clip_vision_model"), .text("clip")])
    projectionWidth = try file.integer("projection_dim", default: 512, in: 1...65536)
    var file = file
    if file["model_type"] == .text("clip") {
      guard case .object(let values)? = file["vision_config"] else {
        throw file.unsupported("vision_config", expected: "the image encoder's configuration")
      }
      file = ConfigurationFile(path: file.path, values: values)
    }
    try file.require("num_channels", isOneOf: [.integer(3)])
    width = try file.integer("hidden_size", default: 768, in: 1...65536)
    layerCount = try file.integer("num_hidden_layers", default: 12, in: 1...256)
    headCount = try file.integer("num_attention_heads", default: 12, in: 1...4096)
    guard width.isMultiple(of: headCount) else {
      throw file.unsupported("num_attention_heads", expected: "a divisor of hidden_size (\(width))")
    }
    imageSide = try file.integer("image_size", default: 224, in: 1...4096)
    patchSide = try file.integer("patch_size", default: 32, in: 1...imageSide)
    activation = try file.choice("hidden_act", default: .quickGELU)
    epsilon = Float(try file.number("layer_norm_eps", default: 1e-5))
  }

  /// The number of tokens of an image: one for the whole image, and one for each patch.
  var tokenCount: Int {
    let side = imageSide / patchSide
    return side * side + 1
  }

  /// The names of all its weights.
  var weightNames: Set<String> {
    let model = "vision_model"
    var names: Set = [
      "visual_projection.weight", "\(model).embeddings.class_embedding",
      "\(model).embeddings.patch_embedding.weight",
      "\(model).embeddings.position_embedding.weight",
    ]
    var layers = ["pre_layrnorm", "post_layernorm"]
    for index in 0..<layerCount {
      layers += [
        "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.out_proj",
        "layer_norm1", "layer_norm2", "mlp.fc1", "mlp.fc2",
      ].map { "encoder.layers.\(index).\($0)" }
    }
    for layer in layers {
      names.formUnion(["\(model).\(layer).weight", "\(model).\(layer).bias"])
    }
    return names
  }

  /// The encoder's own weights, under their names in the file.
  ///
  /// - Throws: a `GraphError` for a missing or unknown weight.
  func weights(_ store: WeightStore) throws(GraphError) -> WeightStore {
    // Older files contain unused position ids; a whole CLIP contains its text encoder.
    let others = ["text_model.", "text_projection.", "logit_scale"]
    return try store.restricted(
      to: weightNames,
      ignoring: { name in
        name == "vision_model.embeddings.position_ids" || others.contains { name.hasPrefix($0) }
      },
      of: "CLIP's image encoder")
  }
}
