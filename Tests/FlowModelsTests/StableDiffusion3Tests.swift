import FlowCore
import FlowEngine
import FlowGraph
import FlowTestSupport
import FlowText
import Foundation
import Testing

@testable import FlowModels

/// A tiny Stable Diffusion 3 as diffusers saves it: what is read of it, and what is refused.
@Suite(.tags(.engine)) struct StableDiffusion3Tests {
  private static func family(_ checkpoint: Checkpoint) throws -> StableDiffusion3 {
    try #require(checkpoint.family as? StableDiffusion3)
  }

  @Test("Where T5 is named but not there, the error says how to run without it")
  func missingT5() throws {
    let temporary = try TemporaryFolder()
    let copy = "\(temporary.path)/sd3"
    try FileManager.default.copyItem(atPath: SD3Pipeline.folder, toPath: copy)
    try FileManager.default.removeItem(atPath: "\(copy)/text_encoder_3")
    let error = #expect(throws: ModelError.self) { try Checkpoint(folder: copy) }
    #expect(error?.code == .fileMissing)
    #expect(error?.message.contains("make text_encoder_3 [null, null] there") == true)
  }

  @Test("A prompt is one chunk for each encoder, and what has no room is reported")
  func chunks() throws {
    let checkpoint = try Checkpoint(folder: SD3Pipeline.folder)
    let long = String(repeating: "(a red fox:1.2), ", count: 100)
    for encoding in checkpoint.textEncoders {
      for prompt in [long, "a fox BREAK on a blue background", ""] {
        for syntax in PromptSyntax.allCases {
          #expect(encoding.chunks(of: prompt, syntax: syntax).chunks.count == 1)
        }
      }
      #expect(encoding.chunks(of: long, syntax: .weighted).cut != nil)
    }
    let clip = try Self.family(checkpoint).clip[0]
    // What follows a BREAK is read, not truncated: it has no chunk of its own to begin.
    let whole = clip.chunks(of: "a fox BREAK on a blue background", syntax: .weighted)
    let plain = clip.chunks(of: "a fox on a blue background", syntax: .plain)
    #expect(whole.cut == nil && whole.chunks[0].tokens == plain.chunks[0].tokens)
  }

  @Test("Components, sizes and ports are the model's")
  func parts() throws {
    let checkpoint = try Checkpoint(folder: SD3Pipeline.folder)
    #expect(
      checkpoint.components.map(\.name)
        == ["transformer", "text_encoder", "text_encoder_2", "text_encoder_3", "vae"])
    #expect(
      checkpoint.components.map(\.architecture) == [
        "SD3Transformer2DModel", "CLIPTextModelWithProjection", "CLIPTextModelWithProjection",
        "T5EncoderModel", "AutoencoderKL",
      ])
    #expect(checkpoint.sizeMultiple == 8)
    #expect(checkpoint.tokenCount == 24 + 256)
    #expect(checkpoint.nativeSize == PixelSize(width: 32, height: 32))
    let family = try Self.family(checkpoint)
    #expect(family.imageTokenCount(latentPixels: 64) == 16)
    let conditioning = family.conditioning(
      of: nil, guidanceScale: 1, size: PixelSize(width: 32, height: 32))
    let shape = BatchShape(rows: 1, height: 8, width: 8, tokens: checkpoint.tokenCount)
    let weights = checkpoint.networkWeights.root
    let graph = try family.network(shape, precomputed: [], adapters: [], weights: weights)
    let module = GraphModule(graph, weightsIdentity: [])
    for input in conditioning.inputs {
      let port = try #require(module.inputs.first { $0.name == input.name })
      #expect(port.shape.elementCount == input.elements.count)
    }
    // Modulation is computed before the ticks at every size, by its own name alone where asked for.
    let inputs = try family.precomputedInputs(shape, only: nil, weights: weights)
    #expect(inputs.map(\.name) == [SD3Transformer.modulationInput])
    #expect(try family.precomputedInputs(shape, only: [], weights: weights).isEmpty)
    let ticking = GraphModule(
      try family.network(
        shape, precomputed: [SD3Transformer.modulationInput], adapters: [], weights: weights),
      weightsIdentity: [])
    #expect(!ticking.inputs.contains { $0.name == "pooled" || $0.name == "timestep" })
    #expect(ticking.weightsByteCount < module.weightsByteCount)
    let floatLayers = try family.floatLayers(weights: weights)
    #expect(floatLayers.allSatisfy { checkpoint.networkWeights.weights["\($0).weight"] != nil })
    #expect(floatLayers.contains("transformer_blocks.1.norm1_context.linear"))
  }

  @Test(
    "Published models are recognized by configuration and name",
    arguments: [
      ("sd3", "", "", "Stable Diffusion 3.5 Medium", 40, Float(4.5)),
      (
        "sd3", #""dual_attention_layers": \[[^\]]*\]"#, #""dual_attention_layers": []"#,
        "Stable Diffusion 3.5 Large", 28, 3.5
      ),
      ("sd3.5-large-turbo", "", "", "SD3.5-Large-Turbo", 4, 1),
    ])
  func kinds(
    name: String, text: String, replacement: String, kind: String, steps: Int, scale: Float
  ) throws {
    let family = try Self.family(Checkpoint(folder: SD3Pipeline.folder))
    var configuration = family.transformer
    if !text.isEmpty {
      let temporary = try TemporaryFolder()
      let copy = try SD3Pipeline.edited("transformer/config.json", text, replacement, in: temporary)
      configuration = try SD3TransformerConfiguration(
        ConfigurationFile(path: "\(copy)/transformer/config.json"))
    }
    let evidence = ModelKind.Evidence(
      pipelineName: "StableDiffusion3Pipeline",
      schedulerName: "FlowMatchEulerDiscreteScheduler", isTrailing: false, name: name,
      loraNames: [], textWidth: 4096, readsPooledText: true, readsGuidance: false,
      kinds: StableDiffusion3.kinds, variant: configuration.variant.rawValue)
    let found = try #require(ModelKind.of(evidence))
    #expect(found.name == kind && found.stepCount == steps && found.guidanceScale == scale)
    #expect(found.schedule == .flowMatching)
  }

  @Test("A checkpoint's own defaults are those of its model kind")
  func defaults() throws {
    let checkpoint = try Checkpoint(folder: SD3Pipeline.folder)
    #expect(checkpoint.scheduleFinding.schedule == .flowMatching)
    let defaults = checkpoint.defaults()
    #expect(defaults.stepCount == 40 && defaults.guidanceScale == 4.5)
  }

  @Test(
    "Parts that do not fit each other are refused with both numbers",
    arguments: [
      (
        "transformer/config.json", #""joint_attention_dim": 40"#, #""joint_attention_dim": 32"#,
        "36 wide together (hidden_size), the network reads 32"
      ),
      (
        "transformer/config.json", #""pooled_projection_dim": 22"#, #""pooled_projection_dim": 21"#,
        "22 wide together (projection_dim, text_projection.weight), the network reads 21"
      ),
      (
        "transformer/config.json", #""joint_attention_dim": 40"#, #""joint_attention_dim": 48"#,
        "T5 is 40 wide (d_model), the network reads 48"
      ),
      (
        "transformer/config.json", #""num_layers": 2"#, #""num_layers": 3"#,
        "have no 'transformer_blocks."
      ),
      (
        "transformer/config.json", #""qk_norm": "rms_norm""#, #""qk_norm": null"#,
        "nothing in Stable Diffusion 3's transformer reads 'transformer_blocks."
      ),
      (
        "text_encoder_2/config.json", #""max_position_embeddings": 24"#,
        #""max_position_embeddings": 25"#, "read [24, 25] tokens"
      ),
      ("transformer/config.json", #""sample_size": 8"#, #""extra_heads": 8"#, "extra_heads = 8"),
    ])
  func refused(file: String, text: String, replacement: String, problem: String) throws {
    let temporary = try TemporaryFolder()
    let copy = try SD3Pipeline.edited(file, text, replacement, in: temporary)
    let error = #expect(throws: ModelError.self) { try Checkpoint(folder: copy) }
    #expect(error?.message.contains(problem) == true, "\(error?.message ?? "")")
  }

  @Test(
    "An autoencoder of another family's latents is refused, and the one that fits is named",
    arguments: [
      ("0.3611", "with scaling_factor 0.3611 is for FLUX.1 and Z-Image"),
      ("0.18215", "with scaling_factor 0.18215 is for Stable Diffusion 1 and 2"),
    ])
  func pairing(scale: String, problem: String) throws {
    let temporary = try TemporaryFolder()
    let copy = try SD3Pipeline.edited(
      "vae/config.json", #""scaling_factor": 1.5305"#, "\"scaling_factor\": \(scale)",
      in: temporary)
    let error = #expect(throws: ModelError.self) { try Checkpoint(folder: copy) }
    #expect(error?.message.contains(problem) == true, "\(error?.message ?? "")")
    #expect(error?.message.contains("taesd3 with Stable Diffusion 3, taef1 with FLUX.1") == true)
  }
}
