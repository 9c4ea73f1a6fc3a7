/// The names of text encoder weights in llama.cpp and in Hugging Face's checkpoints.
enum GGUFNames {
  /// The name of a weight in Hugging Face's checkpoints; unchanged if llama.cpp does not rename the
  /// architecture's weights.
  ///
  /// - Parameters:
  ///   - name: the name in the file, such as `blk.3.attn_q.weight`.
  ///   - architecture: the file's architecture.
  ///   - isGated: whether layers have a gate beside their first matrix, which affects T5's names.
  static func original(_ name: String, architecture: String?, isGated: Bool) -> String {
    switch architecture {
    case "qwen3":
      renamed(name, whole: qwenNames, block: "blk.", layer: "model.layers.", parts: qwenParts)
    case "t5encoder":
      renamed(
        name, whole: t5Names, block: "enc.blk.", layer: "encoder.block.",
        parts: isGated ? t5Parts : t5Parts.merging(["ffn_up": t5PlainUp]) { $1 })
    default: name
    }
  }

  private static func renamed(
    _ name: String, whole: [String: String], block: String, layer: String, parts: [String: String]
  ) -> String {
    guard let dot = name.lastIndex(of: ".") else { return name }
    let (path, parameter) = (String(name[..<dot]), name[dot...])
    if let known = whole[path] { return known + parameter }
    guard path.hasPrefix(block) else { return name }
    let words = path.dropFirst(block.count).split(separator: ".", maxSplits: 1)
    guard words.count == 2, let part = parts[String(words[1])] else { return name }
    return "\(layer)\(words[0]).\(part)\(parameter)"
  }

  private static let qwenNames = [
    "token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head",
  ]

  private static let qwenParts = [
    "attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm",
    "ffn_norm": "post_attention_layernorm", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
  ]

  private static let t5Names = [
    "token_embd": "shared", "enc.output_norm": "encoder.final_layer_norm",
  ]

  private static let t5Parts = [
    "attn_norm": "layer.0.layer_norm", "attn_q": "layer.0.SelfAttention.q",
    "attn_k": "layer.0.SelfAttention.k", "attn_v": "layer.0.SelfAttention.v",
    "attn_o": "layer.0.SelfAttention.o",
    "attn_rel_b": "layer.0.SelfAttention.relative_attention_bias",
    "ffn_norm": "layer.1.layer_norm", "ffn_gate": "layer.1.DenseReluDense.wi_0",
    "ffn_up": "layer.1.DenseReluDense.wi_1", "ffn_down": "layer.1.DenseReluDense.wo",
  ]

  /// T5 before version 1.1 has no gate, and its first matrix is not numbered.
  private static let t5PlainUp = "layer.1.DenseReluDense.wi"
}

extension GGUF {
  /// The tensors under the names of Hugging Face's checkpoints, for text encoders that llama.cpp
  /// renames; other tensors keep their names.
  var originalTensors: [String: Weight] {
    get throws(GraphError) {
      let isGated = tensors.keys.contains { $0.hasSuffix("ffn_gate.weight") }
      var renamed: [String: Weight] = [:]
      for (name, weight) in tensors {
        let original = GGUFNames.original(name, architecture: architecture, isGated: isGated)
        guard renamed.updateValue(weight.named(original), forKey: original) == nil else {
          throw GraphError(
            code: .weightsInvalid,
            message: "'\(weight.file.path)' names '\(original)' twice, once as '\(name)'; fetch it "
              + "again")
        }
      }
      return renamed
    }
  }
}
