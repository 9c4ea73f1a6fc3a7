internal import FlowGraph

/// The validated `text_encoder/config.json` of a `Qwen3ForCausalLM` or `Qwen3Model`.
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

  init(_ file: ConfigurationFile) throws(ModelError) {
    try file.require("model_type", isOneOf: [.text("qwen3")])
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

  /// The base of the frequencies: `rope_theta`, or since transformers 5 the one in
  /// `rope_parameters`.
  private static func theta(_ file: ConfigurationFile) throws(ModelError) -> Double {
    try file.require("rope_scaling", isOneOf: [])
    var theta = try file.number("rope_theta", default: 10_000)
    if let parameters = file["rope_parameters"] {
      let expected = "an object with rope_theta and rope_type \"default\""
      guard case .object(var object) = parameters,
        [nil, .text("default")].contains(object.removeValue(forKey: "rope_type"))
      else { throw file.unsupported("rope_parameters", expected: expected) }
      switch object.removeValue(forKey: "rope_theta") {
      case nil: break
      case .integer(let value): theta = Double(value)
      case .number(let value): theta = value
      default: throw file.unsupported("rope_parameters", expected: expected)
      }
      guard object.values.allSatisfy({ $0 == .null }) else {
        throw file.unsupported("rope_parameters", expected: expected + " and nothing else")
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
    return try store.withoutPrefix("model.").restricted(
      to: names, ignoring: { $0 == "lm_head.weight" }, of: "Qwen3")
  }
}
