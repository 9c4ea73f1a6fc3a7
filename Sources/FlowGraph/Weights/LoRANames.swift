/// A parsed tensor name of a LoRA file: network, layer and part.
struct LoRAName: Equatable {
  /// The role of a tensor in its module.
  enum Part: String, Hashable {
    case down, up, mid, alpha, scale, biasUp
    case difference, biasDifference
    case hadamard1A, hadamard1B, hadamard2A, hadamard2B, hadamardCore1, hadamardCore2
    case kronecker1, kronecker1A, kronecker1B, kronecker2, kronecker2A, kronecker2B
    case kroneckerCore2
    case magnitude, outputMagnitude
  }

  let component: LoRA.Component
  /// The layer, its components joined by dots or, in kohya's format, by underscores.
  let layer: String
  let part: Part
  /// The name of the adapter, if PEFT included it in the tensor's name.
  let adapter: String?

  /// Parses a name; nil if it matches no known format.
  init?(_ fullName: String) {
    let (plainName, adapter) = Self.withoutAdapter(fullName)
    // XLabs numbers the LoRAs of an attention's two streams: `qkv_lora1.down`.
    let name = plainName.replacing("_lora1.", with: ".1.lora.")
      .replacing("_lora2.", with: ".2.lora.")
    self.adapter = adapter
    guard let (suffix, part) = Self.suffixes.first(where: { name.hasSuffix($0.suffix) }) else {
      return nil
    }
    self.part = part
    var layer = String(name.dropLast(suffix.count))
    // Attention used to keep its LoRA in a separate processor (diffusers before 0.20).
    layer = layer.split(separator: ".").filter { $0 != "processor" }.joined(separator: ".")
    var component = LoRA.Component.unnamed
    let raw = "base_model.model."
    if layer.hasPrefix(raw) { layer.removeFirst(raw.count) }
    if let (prefix, named) = Self.prefixes.first(where: { layer.hasPrefix($0.prefix) }) {
      component = named
      layer.removeFirst(prefix.count)
    }
    if layer.hasPrefix(raw) { layer.removeFirst(raw.count) }
    guard !layer.isEmpty else { return nil }
    (self.component, self.layer) = (component, layer)
  }

  private static let prefixes: [(prefix: String, component: LoRA.Component)] = [
    ("lora_unet_", .network), ("lora_transformer_", .network), ("lora_te_", .textEncoder(0)),
    ("lycoris_", .unnamed),
    ("lora_te1_", .textEncoder(0)), ("lora_te2_", .textEncoder(1)), ("lora_te3_", .textEncoder(2)),
    ("unet.", .network), ("transformer.", .network), ("model.diffusion_model.", .network),
    ("diffusion_model.", .network), ("text_encoder.", .textEncoder(0)),
    ("text_encoder_2.", .textEncoder(1)), ("text_encoder_3.", .textEncoder(2)),
  ]

  /// Longest first, so that no suffix hides another.
  private static let suffixes: [(suffix: String, part: Part)] = {
    var suffixes: [(suffix: String, part: Part)] = [
      (".alpha", .alpha), (".scale", .scale), (".diff", .difference), (".w_norm", .difference),
      (".diff_b", .biasDifference), (".b_norm", .biasDifference),
      (".hada_w1_a", .hadamard1A), (".hada_w1_b", .hadamard1B), (".hada_w2_a", .hadamard2A),
      (".hada_w2_b", .hadamard2B), (".hada_t1", .hadamardCore1), (".hada_t2", .hadamardCore2),
      (".lokr_w1", .kronecker1), (".lokr_w1_a", .kronecker1A), (".lokr_w1_b", .kronecker1B),
      (".lokr_w2", .kronecker2), (".lokr_w2_a", .kronecker2A), (".lokr_w2_b", .kronecker2B),
      (".lokr_t2", .kroneckerCore2), (".dora_scale", .magnitude),
    ]
    for stem in [".lora_", ".lora.", "_lora.", ".lora_linear_layer."] {
      for (word, part) in [("down", Part.down), ("up", .up), ("mid", .mid)] {
        suffixes += [("\(stem)\(word)", part), ("\(stem)\(word).weight", part)]
      }
      suffixes.append(("\(stem)alpha", .alpha))
    }
    for (word, part) in [
      ("lora_A", Part.down), ("lora_B", .up), ("lora_magnitude_vector", .outputMagnitude),
    ] {
      suffixes += [(".\(word)", part), (".\(word).weight", part)]
    }
    suffixes.append((".lora_B.bias", .biasUp))
    return suffixes.sorted { $0.suffix.count > $1.suffix.count }
  }()

  /// The words before an adapter's name in PEFT's format, as in `to_q.lora_A.style.weight`.
  private static let adapterWords: Set<Substring> = [
    "lora_A", "lora_B", "lora_magnitude_vector", "lora_down", "lora_up", "lora_mid",
  ]

  private static func withoutAdapter(_ name: String) -> (name: String, adapter: String?) {
    var parts = name.split(separator: ".", omittingEmptySubsequences: false)
    let ending = ["weight", "bias"].contains(parts.last) ? parts.removeLast() : nil
    guard parts.count > 2, adapterWords.contains(parts[parts.count - 2]),
      let adapter = parts.popLast(), !adapter.isEmpty
    else { return (name, nil) }
    if let ending { parts.append(ending) }
    return (parts.joined(separator: "."), String(adapter))
  }
}
