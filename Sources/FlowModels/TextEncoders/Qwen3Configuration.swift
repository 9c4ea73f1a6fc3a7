internal import FlowGraph

/// The validated `text_encoder/config.json` of a `Qwen3ForCausalLM` or `Qwen3Model`, or of the
/// language model of a `Qwen3VLForConditionalGeneration`.
///
/// For text alone, the three axes of Qwen3-VL's rotary embedding have the same positions, so it is
/// that of Qwen3.
struct Qwen3Configuration: Equatable {
  /// The width of a hidden state.
  let width: Int
  let layerCount: Int
  let headCount: Int
  /// The number of key and value heads, each shared by several query heads.
  let sharedHeadCount: Int
  let headWidth: Int
  let feedForwardWidth: Int
  let epsilon: Float
  /// The base of the rotary embedding's frequencies.
  let theta: Double
  let hasAttentionBias: Bool
  /// Whether it is the language model of a Qwen3-VL.
  let readsImages: Bool

  /// The class in transformers.
  var architecture: String {
    readsImages ? "Qwen3VLForConditionalGeneration" : "Qwen3ForCausalLM"
  }

  init(_ file: ConfigurationFile) throws(ModelError) {
    try file.require("model_type", isOneOf: [.text("qwen3"), .text("qwen3_vl")])
    readsImages = try file.text("model_type") == "qwen3_vl"
    let file = try readsImages ? Self.languageModel(of: file) : file
    try file.require("hidden_act", isOneOf: [.text("silu")])
    try file.require("use_sliding_window", isOneOf: [.bool(false)])
    for type in try file.texts("layer_types", default: []) where type != "full_attention" {
      throw file.unsupported("layer_types", expected: "\"full_attention\" alone, got \"\(type)\"")
    }
    width = try file.integer("hidden_size", default: 4096, in: 1...65536)
    layerCount = try file.integer("num_hidden_layers", default: 32, in: 1...256)
    headCount = try file.integer("num_attention_heads", default: 32, in: 1...4096)
    // Absent and null differ here: the library's default, or all heads.
    let isNull = file.keys.contains("num_key_value_heads") && file["num_key_value_heads"] == nil
    sharedHeadCount = try file.integer(
      "num_key_value_heads", default: isNull ? headCount : 32, in: 1...headCount)
    guard headCount.isMultiple(of: sharedHeadCount) else {
      throw file.unsupported(
        "num_key_value_heads", expected: "a divisor of num_attention_heads (\(headCount))")
    }
    headWidth = try file.integer("head_dim", default: 128, in: 2...65536)
    guard headWidth.isMultiple(of: 2) else {
      throw file.unsupported("head_dim", expected: "an even number")
    }
    feedForwardWidth = try file.integer("intermediate_size", default: 22016, in: 1...1_000_000)
    epsilon = Float(try file.number("rms_norm_eps", default: 1e-6))
    hasAttentionBias = try file.bool("attention_bias", default: false)
    theta = try Self.theta(file)
  }

  /// The configuration of the language model in that of a Qwen3-VL.
  private static func languageModel(
    of file: ConfigurationFile
  ) throws(ModelError) -> ConfigurationFile {
    guard case .object(let values) = file["text_config"] else {
      throw file.unsupported("text_config", expected: "the language model's configuration")
    }
    let nested = ConfigurationFile(path: file.path, values: values)
    try nested.require("model_type", isOneOf: [.text("qwen3_vl_text")])
    return nested
  }

  /// The base of the frequencies: `rope_theta`, or since transformers 5 the one in
  /// `rope_parameters`.
  private static func theta(_ file: ConfigurationFile) throws(ModelError) -> Double {
    let isOfImages = try file.text("model_type") == "qwen3_vl_text"
    var theta = try file.number("rope_theta", default: isOfImages ? 500_000 : 10_000)
    // Qwen3-VL's files had the same object under another name before transformers 5.
    let key = isOfImages && file["rope_parameters"] == nil ? "rope_scaling" : "rope_parameters"
    if key != "rope_scaling" { try file.require("rope_scaling", isOneOf: []) }
    if let parameters = file[key] {
      let expected = "an object with rope_theta and rope_type \"default\""
      guard case .object(var object) = parameters,
        [nil, .text("default")].contains(object.removeValue(forKey: "rope_type"))
      else { throw file.unsupported(key, expected: expected) }
      switch object.removeValue(forKey: "rope_theta") {
      case nil: break
      case .integer(let value): theta = Double(value)
      case .number(let value): theta = value
      default: throw file.unsupported(key, expected: expected)
      }
      // How the elements are divided between the axes of an image, which are equal for text.
      if isOfImages {
        for name in ["mrope_section", "mrope_interleaved"] { object.removeValue(forKey: name) }
      }
      guard object.values.allSatisfy({ $0 == .null }) else {
        throw file.unsupported(key, expected: expected + " and nothing else")
      }
    }
    guard theta.isFinite, theta > 0 else {
      throw file.unsupported("rope_theta", expected: "a number above 0")
    }
    return theta
  }

  /// The encoder's weights without the prefix `model.` of most files.
  ///
  /// The token prediction head is dropped.
  ///
  /// - Throws: a `GraphError` if a weight is missing or unknown.
  func weights(_ store: WeightStore) throws(GraphError) -> WeightStore {
    var names: Set = ["embed_tokens.weight", "norm.weight"]
    for layer in 0..<layerCount {
      for name in [
        "input_layernorm", "post_attention_layernorm", "self_attn.q_norm", "self_attn.k_norm",
        "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj",
      ] { names.insert("layers.\(layer).\(name).weight") }
      for name in ["q_proj", "k_proj", "v_proj", "o_proj"] {
        names.insert("layers.\(layer).self_attn.\(name).weight")
        if hasAttentionBias { names.insert("layers.\(layer).self_attn.\(name).bias") }
      }
    }
    guard readsImages else {
      return try store.withoutPrefix("model.").restricted(
        to: names, ignoring: { $0 == "lm_head.weight" }, of: "Qwen3")
    }
    return try store.withoutPrefix("model.").withoutPrefix("language_model.").restricted(
      to: names, ignoring: { $0 == "lm_head.weight" || $0.hasPrefix("visual.") }, of: "Qwen3-VL")
  }
}
