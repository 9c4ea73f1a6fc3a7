import FlowGraph
import FlowTestSupport
import Foundation
import Testing

@testable import FlowModels

/// What `config.json` of T5 and Qwen3 says, and what their weights must be.
@Suite struct TextConfigurationTests {
  private typealias Values = [String: ConfigurationFile.Value]

  private static let t5: Values = [
    "model_type": .text("t5"), "feed_forward_proj": .text("gated-gelu"),
  ]

  private static func read(_ values: Values, changing changes: Values) -> ConfigurationFile {
    ConfigurationFile(path: "config.json", values: values.merging(changes) { $1 })
  }

  @Test("T5's configuration is that of the XXL encoder, or the library's defaults")
  func t5Values() throws {
    let standard = try T5Configuration(Self.read(Self.t5, changing: [:]))
    #expect(standard.width == 512 && standard.layerCount == 6 && standard.headCount == 8)
    #expect(standard.buckets == T5Buckets(count: 32, distance: 128) && standard.epsilon == 1e-6)
    let xxl = try T5Configuration(
      Self.read(
        Self.t5,
        changing: [
          "d_model": .integer(4096), "num_layers": .integer(24), "num_heads": .integer(64),
          "d_kv": .integer(64), "d_ff": .integer(10240), "is_gated_act": .bool(true),
          "dense_act_fn": .text("gelu_new"), "is_encoder_decoder": .bool(true),
        ]))
    #expect(xxl.width == 4096 && xxl.layerCount == 24 && xxl.headCount == 64)
    #expect(xxl.headWidth == 64 && xxl.feedForwardWidth == 10240)
  }

  @Test(
    "What T5 1.1 has not is refused by its key",
    arguments: [
      ("feed_forward_proj", .text("relu")), ("feed_forward_proj", .null),
      ("feed_forward_proj", .text("gated-silu")), ("model_type", .text("umt5")),
      ("dense_act_fn", .text("relu")), ("is_gated_act", .bool(false)),
      ("is_decoder", .bool(true)), ("d_model", .integer(0)), ("num_heads", .text("8")),
      ("relative_attention_num_buckets", .integer(30)),
      ("relative_attention_max_distance", .integer(8)), ("layer_norm_epsilon", .text("small")),
    ] as [(String, ConfigurationFile.Value)])
  func t5Refusals(key: String, value: ConfigurationFile.Value) {
    let error = #expect(throws: ModelError.self) {
      try T5Configuration(Self.read(Self.t5, changing: [key: value]))
    }
    #expect(error?.code == .unsupported)
    #expect(error?.message.contains("'config.json': \(key) = ") == true)
  }

  @Test("Qwen3's configuration reads either spelling of the rotary embedding")
  func qwen3Values() throws {
    func theta(_ changes: Values) throws -> Double {
      try Qwen3Configuration(Self.read(["model_type": .text("qwen3")], changing: changes)).theta
    }
    #expect(try theta([:]) == 10_000)
    #expect(try theta(["rope_theta": .integer(1_000_000), "rope_scaling": .null]) == 1_000_000)
    #expect(try theta(["rope_theta": .number(5e5)]) == 500_000)
    #expect(try theta(["rope_parameters": .object(["rope_theta": .integer(5_000_000)])]) == 5e6)
    #expect(
      try theta([
        "rope_parameters": .object([
          "rope_theta": .number(1e6), "rope_type": .text("default"), "factor": .null,
        ])
      ]) == 1e6)
    let standard = try Qwen3Configuration(Self.read([:], changing: [:]))
    #expect(standard.width == 4096 && standard.headCount == 32 && standard.sharedHeadCount == 32)
    #expect(standard.headWidth == 128 && !standard.hasAttentionBias)
    let other = try Qwen3Configuration(
      Self.read(
        [:],
        changing: [
          "num_attention_heads": .integer(16), "num_key_value_heads": .null,
          "layer_types": .list([.text("full_attention")]), "sliding_window": .integer(4096),
        ]))
    #expect(other.headCount == 16 && other.sharedHeadCount == 16)
  }

  @Test(
    "What Qwen3 has not is refused by its key",
    arguments: [
      ("model_type", .text("qwen2")), ("model_type", .text("qwen3_moe")),
      ("hidden_act", .text("gelu")), ("use_sliding_window", .bool(true)),
      ("layer_types", .list([.text("sliding_attention")])),
      ("num_key_value_heads", .integer(5)), ("num_key_value_heads", .integer(64)),
      ("head_dim", .integer(7)), ("rope_scaling", .object(["rope_type": .text("yarn")])),
      ("rope_parameters", .object(["rope_type": .text("yarn"), "rope_theta": .integer(1)])),
      ("rope_parameters", .object(["factor": .number(2)])),
      ("rope_parameters", .object(["rope_theta": .text("1e6")])),
      ("rope_parameters", .list([])), ("rope_theta", .integer(0)), ("rope_theta", .text("x")),
      ("attention_bias", .integer(1)),
    ] as [(String, ConfigurationFile.Value)])
  func qwen3Refusals(key: String, value: ConfigurationFile.Value) {
    let error = #expect(throws: ModelError.self) {
      try Qwen3Configuration(Self.read([:], changing: [key: value]))
    }
    #expect(error?.code == .unsupported)
    #expect(error?.message.contains("'config.json': \(key) = ") == true)
  }

  private static func store(_ name: String) throws -> (WeightStore, ConfigurationFile) {
    let folder = Bundle.module.fixture("text-encoders/\(name)")
    return (
      try WeightStore(folder: folder, stem: "model"),
      try ConfigurationFile(path: "\(folder)/config.json")
    )
  }

  @Test("The weights of an encoder are all read, and parts that are no encoder are left out")
  func weights() throws {
    let (t5, t5File) = try Self.store("t5")
    let encoder = try T5Configuration(t5File)
    #expect(try encoder.weights(t5).weights.count == 3 + 9 * 3)
    let whole = t5.merging(
      t5.renamed { $0.hasPrefix("encoder.") ? $0.replacing("encoder.", with: "decoder.") : nil }
    )
    .merging(t5.renamed { $0 == "shared.weight" ? "lm_head.weight" : nil })
    .merging(t5.renamed { $0 == "shared.weight" ? "encoder.embed_tokens.weight" : nil })
    #expect(try encoder.weights(whole).weights.keys == encoder.weights(t5).weights.keys)
    for (name, count) in [("qwen3", 2 + 11 * 4), ("qwen3-bare", 2 + 15 * 4)] {
      let (qwen3, file) = try Self.store(name)
      let configuration = try Qwen3Configuration(file)
      let headed = qwen3.merging(
        qwen3.renamed { $0.hasSuffix("embed_tokens.weight") ? "lm_head.weight" : nil })
      #expect(try configuration.weights(headed).weights.count == count)
    }
  }

  @Test("A weight that is missing and one that nothing reads are errors that name it")
  func strangeWeights() throws {
    let (t5, t5File) = try Self.store("t5")
    let encoder = try T5Configuration(t5File)
    let last = "encoder.block.2.layer.1.DenseReluDense.wo.weight"
    let missing = #expect(throws: GraphError.self) {
      try encoder.weights(t5.renamed { $0 == last ? nil : $0 })
    }
    #expect(missing?.code == .weightMissing && missing?.message.contains("'\(last)'") == true)
    let unknown = #expect(throws: GraphError.self) {
      try encoder.weights(t5.merging(t5.renamed { $0 == last ? "encoder.block.3.x" : nil }))
    }
    #expect(unknown?.code == .weightsInvalid)
    #expect(unknown?.message.contains("reads 'encoder.block.3.x'") == true)
    // A bias that the configuration does not know of, and one that it does.
    let (bare, bareFile) = try Self.store("qwen3-bare")
    let unbiased = Self.read(
      ["num_hidden_layers": .integer(4), "num_attention_heads": .integer(3)],
      changing: ["num_key_value_heads": .integer(3)])
    let bias = #expect(throws: GraphError.self) {
      try Qwen3Configuration(unbiased).weights(bare)
    }
    #expect(bias?.message.contains("reads 'layers.0.self_attn.k_proj.bias'") == true)
    let absent = #expect(throws: GraphError.self) {
      try Qwen3Configuration(bareFile).weights(bare.renamed { $0.hasSuffix("bias") ? nil : $0 })
    }
    #expect(absent?.message.contains("no 'layers.0.self_attn.k_proj.bias'") == true)
  }

  @Test("Weights of other shapes than the configuration's are errors that name the layer")
  func shapes() throws {
    let (t5, t5File) = try Self.store("t5")
    func t5Problem(_ key: String, _ value: Int) throws -> String {
      var values: Values = [:]
      for key in t5File.keys { values[key] = t5File[key] }
      values[key] = .integer(value)
      let configuration = try T5Configuration(
        ConfigurationFile(path: "config.json", values: values))
      let error = #expect(throws: GraphError.self) {
        try T5Text(configuration: configuration, weights: configuration.weights(t5).root)
          .graph(rows: 1, tokenCount: 4)
      }
      return error?.message ?? ""
    }
    #expect(try t5Problem("d_model", 25).contains("T5's token table"))
    #expect(try t5Problem("d_kv", 4).contains("SelfAttention.q"))
    #expect(try t5Problem("d_ff", 41).contains("DenseReluDense.wi"))
    #expect(try t5Problem("num_heads", 8).contains("expected [32, 8]: buckets and heads"))
    #expect(try t5Problem("relative_attention_num_buckets", 16).contains("expected [16, 4]"))
  }
}
