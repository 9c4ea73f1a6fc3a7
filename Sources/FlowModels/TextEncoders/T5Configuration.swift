internal import FlowCore
internal import FlowGraph

#if canImport(Glibc)
  private import Glibc
#elseif canImport(Musl)
  private import Musl
#else
  private import Darwin
#endif

/// The validated `text_encoder_3/config.json` of a `T5EncoderModel`.
///
/// The encoder is that of T5 1.1, which has gated feed-forward layers; the first T5 does not.
struct T5Configuration: Equatable {
  /// The width of a hidden state.
  let width: Int
  let layerCount: Int
  let headCount: Int
  let headWidth: Int
  let feedForwardWidth: Int
  let epsilon: Float
  /// The buckets of distances between tokens.
  let buckets: T5Buckets

  init(_ file: ConfigurationFile) throws(ModelError) {
    try file.require("model_type", isOneOf: [.text("t5")])
    guard file["feed_forward_proj"] == .text("gated-gelu") else {
      throw file.unsupported("feed_forward_proj", expected: "\"gated-gelu\", as T5 1.1 has it")
    }
    try file.require("dense_act_fn", isOneOf: [.text("gelu_new")])
    try file.require("is_gated_act", isOneOf: [.bool(true)])
    try file.require("is_decoder", isOneOf: [.bool(false)])
    width = try file.integer("d_model", default: 512, in: 1...65536)
    layerCount = try file.integer("num_layers", default: 6, in: 1...256)
    headCount = try file.integer("num_heads", default: 8, in: 1...4096)
    headWidth = try file.integer("d_kv", default: 64, in: 1...65536)
    feedForwardWidth = try file.integer("d_ff", default: 2048, in: 1...1_000_000)
    epsilon = Float(try file.number("layer_norm_epsilon", default: 1e-6))
    let count = try file.integer("relative_attention_num_buckets", default: 32, in: 4...65536)
    let distance = try file.integer(
      "relative_attention_max_distance", default: 128, in: 2...1_000_000)
    guard count.isMultiple(of: 4) else {
      throw file.unsupported("relative_attention_num_buckets", expected: "a multiple of 4")
    }
    guard distance > count / 4 else {
      throw file.unsupported(
        "relative_attention_max_distance",
        expected: "more than \(count / 4), a quarter of the buckets")
    }
    buckets = T5Buckets(count: count, distance: distance)
  }

  /// The configuration of an encoder, derived from the shapes of its weights.
  static func values(of shapes: [String: Shape]) -> [String: ConfigurationFile.Value] {
    let layers = "encoder.block.0.layer"
    let table = "\(layers).0.SelfAttention.relative_attention_bias.weight"
    let width =
      shapes.extent("shared.weight", 1) ?? shapes.extent("encoder.embed_tokens.weight", 1) ?? 0
    let inner = shapes.extent("\(layers).0.SelfAttention.q.weight", 0) ?? 0
    let headCount = shapes.extent(table, 1) ?? 0
    return [
      "feed_forward_proj": .text("gated-gelu"), "d_model": .integer(width),
      "num_layers": .integer(shapes.count(of: "encoder.block")),
      "num_heads": .integer(headCount),
      "d_kv": .integer(headCount > 0 ? inner / headCount : 0),
      "d_ff": .integer(shapes.extent("\(layers).1.DenseReluDense.wi_0.weight", 0) ?? 0),
      "relative_attention_num_buckets": .integer(shapes.extent(table, 0) ?? 0),
    ]
  }

  /// The encoder's weights, under their names in the encoder.
  ///
  /// The token table is found under either of its names. The decoder of a whole T5 is dropped.
  ///
  /// - Throws: a `GraphError` if a weight is missing or unknown.
  func weights(_ store: WeightStore) throws(GraphError) -> WeightStore {
    let table = "shared.weight"
    let isNamedOtherwise = store.weights[table] == nil
    let named = store.renamed {
      isNamedOtherwise && $0 == "encoder.embed_tokens.weight" ? table : $0
    }
    var names: Set = [
      table, "encoder.final_layer_norm.weight",
      "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight",
    ]
    for block in 0..<layerCount {
      for name in [
        "0.layer_norm", "0.SelfAttention.q", "0.SelfAttention.k", "0.SelfAttention.v",
        "0.SelfAttention.o", "1.layer_norm", "1.DenseReluDense.wi_0", "1.DenseReluDense.wi_1",
        "1.DenseReluDense.wo",
      ] { names.insert("encoder.block.\(block).layer.\(name).weight") }
    }
    return try named.restricted(
      to: names,
      ignoring: {
        $0 == "encoder.embed_tokens.weight" || $0 == "lm_head.weight" || $0.hasPrefix("decoder.")
      }, of: "T5's encoder")
  }
}

/// The buckets of distances between two tokens, each of which has a bias (Raffel et al., 2020,
/// arXiv:1910.10683, section 2.1).
struct T5Buckets: Equatable {
  /// The number of buckets, half of them for keys before the query and half for keys after it.
  let count: Int
  /// The distance from which all distances share a bucket.
  let distance: Int

  /// The bucket of a key that is `offset` tokens after the query.
  ///
  /// The first half of each side has one bucket per distance, the rest grow logarithmically.
  func bucket(of offset: Int) -> Int {
    let half = count / 2
    let exact = half / 2
    let side = offset > 0 ? half : 0
    let length = abs(offset)
    guard length >= exact else { return side + length }
    // In float32, like transformers.
    let growth =
      logf(Float(length) / Float(exact)) / Float(log(Double(distance) / Double(exact)))
      * Float(half - exact)
    return side + min(exact + Int(growth), half - 1)
  }
}
