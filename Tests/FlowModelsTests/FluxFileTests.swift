import FlowCore
import FlowGraph
import FlowTestSupport
import Foundation
import Testing

@testable import FlowModels

/// FLUX.1 in one file: what is in it, and what is beside it.
@Suite struct FluxFileTests {
  private typealias Tensor = (name: String, shape: [Int], scalars: [Float])

  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private static func zeros(_ shapes: [(String, [Int])], prefix: String = "") -> [Tensor] {
    shapes.map { name, shape in
      (prefix + name, shape, [Float](repeating: 0, count: shape.reduce(1, *)))
    }
  }

  private static func layers(_ shapes: [(String, [Int])]) -> [(String, [Int])] {
    shapes.flatMap { name, shape in
      [("\(name).weight", shape), ("\(name).bias", [shape[0]])]
    }
  }

  /// One head of the published width, one block of each kind.
  private static func transformer(pooledWidth: Int, readsGuidance: Bool) -> [(String, [Int])] {
    let width = 128
    let embedders = ["time_in", "guidance_in"].prefix(readsGuidance ? 2 : 1)
    let streams = ["img", "txt"].flatMap { stream in
      [
        ("double_blocks.0.\(stream)_mod.lin", [6 * width, width]),
        ("double_blocks.0.\(stream)_attn.qkv", [3 * width, width]),
        ("double_blocks.0.\(stream)_attn.proj", [width, width]),
        ("double_blocks.0.\(stream)_mlp.0", [4 * width, width]),
        ("double_blocks.0.\(stream)_mlp.2", [width, 4 * width]),
      ]
    }
    let norms = ["double_blocks.0.img_attn", "double_blocks.0.txt_attn", "single_blocks.0"]
      .flatMap { block in
        ["query_norm", "key_norm"].map { ("\(block).norm.\($0).scale", [width]) }
      }
    return norms
      + layers(
        streams + [
          ("img_in", [width, 64]), ("txt_in", [width, 24]),
          ("vector_in.in_layer", [width, pooledWidth]), ("vector_in.out_layer", [width, width]),
          ("single_blocks.0.linear1", [7 * width, width]),
          ("single_blocks.0.linear2", [width, 5 * width]),
          ("single_blocks.0.modulation.lin", [3 * width, width]),
          ("final_layer.linear", [64, width]),
          ("final_layer.adaLN_modulation.1", [2 * width, width]),
        ]
          + embedders.flatMap {
            [("\($0).in_layer", [width, 256]), ("\($0).out_layer", [width, width])]
          })
  }

  private func write(_ tensors: [Tensor]) throws -> String {
    try folder.write(SafetensorsWriter.file(tensors), as: "flux1.safetensors")
  }

  private func put(_ parts: String...) throws {
    for part in parts {
      try FileManager.default.copyItem(
        atPath: Bundle.module.fixture("pipelines/flux/\(part)"), toPath: "\(folder.path)/\(part)")
    }
  }

  @Test("A transformer alone takes the rest from the folders beside it", arguments: [true, false])
  func transformerAlone(readsGuidance: Bool) throws {
    let file = try write(
      Self.zeros(Self.transformer(pooledWidth: 16, readsGuidance: readsGuidance)))
    var error = #expect(throws: ModelError.self) { try Checkpoint(file: file) }
    #expect(error?.message.contains("text_encoder and tokenizer") == true, "\(error as Any)")
    try put("text_encoder", "tokenizer")
    error = #expect(throws: ModelError.self) { try Checkpoint(file: file) }
    #expect(error?.message.contains("tokenizer_2") == true, "\(error as Any)")
    try put("text_encoder_2", "tokenizer_2")
    error = #expect(throws: ModelError.self) { try Checkpoint(file: file) }
    #expect(error?.message.contains("vae or ae.safetensors") == true, "\(error as Any)")
    try put("vae")
    let checkpoint = try Checkpoint(file: file)
    #expect(checkpoint.pipelineName == "FluxPipeline" && checkpoint.name == "flux1")
    #expect(checkpoint.family.readsGuidanceScale == readsGuidance)
    #expect(checkpoint.tokenCount == (readsGuidance ? 512 : 256))
    #expect(checkpoint.defaults().stepCount == (readsGuidance ? 28 : 4))
    // dev's times shift with the size of the image, schnell's do not.
    let schedules = [16, 4096].map { count in
      checkpoint.scheduler.schedule(
        .flowMatching, spacing: .uniform, imageTokenCount: count, shift: nil)
    }
    let plans = try schedules.map { try $0.plan(stepCount: 4, solver: .euler, strength: 1) }
    #expect((plans[0].rows[1].timestep != plans[1].rows[1].timestep) == readsGuidance)
    if !readsGuidance { #expect(plans[0].rows.map(\.timestep) == [1000, 750, 500, 250]) }
    let weights = checkpoint.networkWeights
    #expect(weights.weights["norm_out.linear.weight"]?.shape == [256, 128])
    #expect(
      weights.weights["single_transformer_blocks.0.proj_mlp.weight"]?.shape == [512, 128])
  }

  @Test("A file of the whole model needs nothing beside it but a tokenizer and an autoencoder")
  func wholeModel() throws {
    let clip: [(String, [Int])] = [
      ("embeddings.position_embedding.weight", [77, 64]),
      ("embeddings.token_embedding.weight", [10, 64]),
      ("encoder.layers.0.mlp.fc1.weight", [8, 64]),
    ]
    let block = "encoder.block.0.layer"
    var t5: [(String, [Int])] = [
      ("shared.weight", [44, 24]), ("encoder.embed_tokens.weight", [44, 24]),
      ("\(block).0.SelfAttention.relative_attention_bias.weight", [32, 4]),
      ("\(block).0.SelfAttention.o.weight", [24, 32]), ("\(block).0.layer_norm.weight", [24]),
      ("\(block).1.layer_norm.weight", [24]), ("encoder.final_layer_norm.weight", [24]),
      ("\(block).1.DenseReluDense.wo.weight", [24, 48]),
    ]
    t5 += ["q", "k", "v"].map { ("\(block).0.SelfAttention.\($0).weight", [32, 24]) }
    t5 += ["wi_0", "wi_1"].map { ("\(block).1.DenseReluDense.\($0).weight", [48, 24]) }
    let prefix = "text_encoders.clip_l.transformer."
    let file = try write(
      Self.zeros(
        Self.transformer(pooledWidth: 64, readsGuidance: true), prefix: "model.diffusion_model.")
        + Self.zeros(clip, prefix: "\(prefix)text_model.")
        + Self.zeros([("text_projection.weight", [64, 64])], prefix: prefix)
        + Self.zeros(t5, prefix: "text_encoders.t5xxl.transformer."))
    try put("tokenizer_2", "vae")
    let checkpoint = try Checkpoint(file: file)
    #expect(checkpoint.family is Flux)
    let family = try #require(checkpoint.family as? Flux)
    // The pooled text is not projected, whether or not there is a projection.
    #expect(family.clip.configuration.projectionWidth == nil)
    #expect(family.clip.tokenCount == 77 && family.clip.width == 64)
    #expect(family.t5.configuration.headCount == 4 && family.t5.configuration.headWidth == 8)
    #expect(family.t5.configuration.feedForwardWidth == 48)
  }

  @Test("A weight that no FLUX.1 has is refused by its name")
  func strange() throws {
    let file = try write(
      Self.zeros(
        Self.transformer(pooledWidth: 16, readsGuidance: false)
          + [("double_blocks.0.img_attn.adapter.weight", [2, 2])]))
    let error = #expect(throws: ModelError.self) { try Checkpoint(file: file) }
    #expect(error?.message.contains("'double_blocks.0.img_attn.adapter.weight'") == true)
  }

  @Test("A network with one modulation for all blocks is of another family")
  func laterFamilies() throws {
    let tensors = Self.zeros(
      Self.transformer(pooledWidth: 16, readsGuidance: false)
        .filter { !$0.0.contains("img_mod") })
    #expect(!Flux.recognizes(try WeightStore(file: write(tensors))))
  }
}
