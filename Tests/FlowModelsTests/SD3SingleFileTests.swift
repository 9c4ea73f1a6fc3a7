import FlowCore
import FlowEngine
import FlowGraph
import FlowTestSupport
import Foundation
import Testing

@testable import FlowModels

/// A tiny Stable Diffusion 3 in one file, in the names of the original repository.
@Suite(.tags(.engine)) struct SD3SingleFileTests {
  private static let file = Bundle.module.fixture("singlefiles/sd3.safetensors")
  private static let pipeline = Bundle.module.fixture("pipelines/sd3")

  /// The file beside the autoencoder of the folder, and with what else is asked for.
  private static func folder(
    with names: [String] = ["vae"], _ temporary: TemporaryFolder
  ) throws -> String {
    let path = "\(temporary.path)/sd3.5_medium_incl_clips.safetensors"
    try FileManager.default.copyItem(atPath: file, toPath: path)
    for name in names {
      try FileManager.default.copyItem(
        atPath: "\(pipeline)/\(name)", toPath: "\(temporary.path)/\(name)")
    }
    return path
  }

  private static func run(
    _ graph: Graph, _ store: WeightStore, outputs: [PortName], _ golden: Golden
  ) async throws -> [[Float]] {
    let program = try await Program.shared(
      GraphModule(graph, weightsIdentity: store.identity))
    for port in program.inputs {
      let floats = try golden.floats(port.name.description)
      if port.type == .int64 {
        program.write(port.name, ContiguousArray(floats.map { Int64($0) }).span)
      } else {
        program.write(port.name, ContiguousArray(floats).span)
      }
    }
    try program.run()
    return outputs.map { output in
      program.read(output, as: Float.self) { span in span.indices.map { span[$0] } }
    }
  }

  /// The network over a text whose tokens stand for themselves, unlike the last one of a model
  /// without T5.
  private static func network(of checkpoint: Checkpoint, _ weights: WeightStore) throws -> Graph {
    var configuration = try #require(checkpoint.family as? StableDiffusion3).transformer
    #expect(configuration.lastTextTokenCount == 256)
    configuration.lastTextTokenCount = 1
    return try SD3Transformer(configuration: configuration, weights: weights.root)
      .graph(BatchShape(rows: 2, height: 8, width: 6, tokens: 5))
  }

  @Test("The transformer is read as diffusers converts it: fused layers, swapped halves, positions")
  func transformer() async throws {
    let temporary = try TemporaryFolder()
    let checkpoint = try Checkpoint(file: Self.folder(temporary))
    let golden = try Golden("singlefiles/sd3-golden.safetensors", in: .module)
    let weights = checkpoint.networkWeights
    let graph = try Self.network(of: checkpoint, weights)
    let output = try await Self.run(graph, weights, outputs: ["output"], golden)
    expectClose(output[0], try golden.floats("output"), relativeTolerance: 1e-5)
  }

  @Test("CLIP's encoders are read from the file: the smaller one's pooled text is not projected")
  func clip() async throws {
    let temporary = try TemporaryFolder()
    let checkpoint = try Checkpoint(file: Self.folder(temporary))
    let golden = try Golden("singlefiles/sd3-golden.safetensors", in: .module)
    #expect(checkpoint.textEncoders.count == 2)
    for (index, letter) in ["l", "g"].enumerated() {
      let weights = checkpoint.weights(of: .textEncoder(index))
      let graph = try checkpoint.textEncoders[index].graph(
        skippedLayers: 0, weights: weights.root)
      let outputs = try await Self.run(graph, weights, outputs: ["hidden", "pooled"], golden)
      expectClose(outputs[0], try golden.floats("\(letter).hidden"), relativeTolerance: 1e-5)
      expectClose(outputs[1], try golden.floats("\(letter).pooled"), relativeTolerance: 1e-5)
    }
  }

  @Test("What the file does not say is as published")
  func published() throws {
    let temporary = try TemporaryFolder()
    let checkpoint = try Checkpoint(file: Self.folder(temporary))
    let family = try #require(checkpoint.family as? StableDiffusion3)
    #expect(family.transformer.variant == .medium)
    #expect(family.transformer.sampleSize == 128 && family.transformer.tableSize == 8)
    #expect(family.t5 == nil)
    #expect(checkpoint.pipelineName == "StableDiffusion3Pipeline")
    #expect(checkpoint.name == "sd3.5_medium_incl_clips")
    #expect(checkpoint.defaults().stepCount == 40)
    let plan = try checkpoint.scheduler.schedule(
      .flowMatching, spacing: .diffusers, imageTokenCount: 16, shift: nil
    ).plan(stepCount: 4, solver: .euler, strength: 1)
    // Shifted twice by 3, as diffusers does.
    expectClose(
      plan.rows.map(\.timestep), [1000, 857.6923, 602.1506, 8.9286], tolerance: 1e-3)
  }

  @Test("Text encoders are the file's, those beside it, or missing with the place to put them")
  func beside() throws {
    let store = try WeightStore(file: Self.file)
    // Without its encoders, the file needs the folder's.
    let bare = store.weights.filter { !$0.key.hasPrefix("text_encoders.") }
    let tensors = try bare.sorted { $0.key < $1.key }.map { name, weight in
      (name: name, shape: weight.shape.dimensions, scalars: try weight.floats())
    }
    let temporary = try TemporaryFolder()
    let path = try temporary.write(SafetensorsWriter.file(tensors), as: "sd3_medium.safetensors")
    let missing = #expect(throws: ModelError.self) { try Checkpoint(file: path) }
    #expect(missing?.code == .fileMissing)
    #expect(missing?.message.contains("expected text_encoder and tokenizer in") == true)
    for name in ["text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2", "vae"] {
      try FileManager.default.copyItem(
        atPath: "\(Self.pipeline)/\(name)", toPath: "\(temporary.path)/\(name)")
    }
    // They are another model's: what they give does not fit, and is refused with both widths.
    let unfitting = #expect(throws: ModelError.self) { try Checkpoint(file: path) }
    #expect(unfitting?.message.contains("the network reads 76 (pooled_projection_dim)") == true)
  }

  @Test("T5 is the file's where it has one, and its tokenizer is beside it")
  func t5() throws {
    func tensors(
      _ path: String, prefix: String = ""
    ) throws -> [(name: String, shape: [Int], scalars: [Float])] {
      try WeightStore(file: path).weights.sorted { $0.key < $1.key }.map { name, weight in
        (prefix + name, weight.shape.dimensions, try weight.floats())
      }
    }
    let temporary = try TemporaryFolder()
    let own = try tensors(
      "\(Self.pipeline)/text_encoder_3/model.safetensors",
      prefix: "text_encoders.t5xxl.transformer.")
    let path = try temporary.write(
      SafetensorsWriter.file(tensors(Self.file) + own), as: "sd3_medium_incl_clips_t5.safetensors")
    let missing = #expect(throws: ModelError.self) { try Checkpoint(file: path) }
    #expect(missing?.message.contains("no tokenizer for its T5") == true)
    for name in ["vae", "tokenizer_3"] {
      try FileManager.default.copyItem(
        atPath: "\(Self.pipeline)/\(name)", toPath: "\(temporary.path)/\(name)")
    }
    // It is another model's: that it was read is seen by its width.
    let unfitting = #expect(throws: ModelError.self) { try Checkpoint(file: path) }
    #expect(unfitting?.message.contains("T5 is 40 wide (d_model), the network reads 160") == true)
  }

  @Test("A file without an autoencoder, and none beside it, is refused with the place to put one")
  func autoencoder() throws {
    let temporary = try TemporaryFolder()
    let path = try Self.folder(with: [], temporary)
    let error = #expect(throws: ModelError.self) { try Checkpoint(file: path) }
    #expect(error?.message.contains("no autoencoder (first_stage_model.*)") == true)
  }

  @Test("A tensor that no Stable Diffusion 3 has is named")
  func unknown() throws {
    let store = try WeightStore(file: Self.file)
    let tensors = try store.weights.sorted { $0.key < $1.key }.map { name, weight in
      (name: name, shape: weight.shape.dimensions, scalars: try weight.floats())
    }
    let extra = (
      name: "model.diffusion_model.joint_blocks.0.x_block.attn3.qkv.weight", shape: [1],
      scalars: [Float(1)]
    )
    let temporary = try TemporaryFolder()
    let path = try temporary.write(
      SafetensorsWriter.file(tensors + [extra]), as: "sd3.safetensors")
    let error = #expect(throws: ModelError.self) { try Checkpoint(file: path) }
    #expect(error?.message.contains("x_block.attn3.qkv.weight', which Stable") == true)
  }

  @Test("A LoRA of layers in the original names changes the network as diffusers' layers change")
  func lora() async throws {
    let temporary = try TemporaryFolder()
    let checkpoint = try Checkpoint(file: Self.folder(temporary))
    let golden = try Golden("singlefiles/sd3-golden.safetensors", in: .module)
    var stores: [LoRA.Component: WeightStore] = [.network: checkpoint.networkWeights]
    let report = try LoRA(path: Bundle.module.fixture("singlefiles/sd3-lora.safetensors")).apply(
      scale: 1, to: &stores,
      names: [
        .network: LayerNames(
          checkpoint.networkWeights, parts: checkpoint.family.layerParts(ofOriginal:))
      ])
    #expect(report.rest.isEmpty, "\(report.rest)")
    let weights = try #require(stores[.network])
    let graph = try Self.network(of: checkpoint, weights)
    let output = try await Self.run(graph, weights, outputs: ["output"], golden)
    let expected = try golden.floats("lora.output")
    expectClose(output[0], expected, relativeTolerance: 1e-5)
    #expect(zip(expected, try golden.floats("output")).contains { abs($0 - $1) > 0.1 })
  }

  @Test("Layers are found by their original names, joined by dots or underscores")
  func layers() throws {
    let temporary = try TemporaryFolder()
    let family = try Checkpoint(file: Self.folder(temporary)).family
    for (name, layers) in [
      ("joint_blocks.0.x_block.attn.proj", ["transformer_blocks.0.attn.to_out.0"]),
      ("joint_blocks_1_context_block_mlp_fc1", ["transformer_blocks.1.ff_context.net.0.proj"]),
      ("t_embedder.mlp.2", ["time_text_embed.timestep_embedder.linear_2"]),
      (
        "joint_blocks.1.context_block.attn.qkv",
        ["add_q_proj", "add_k_proj", "add_v_proj"].map { "transformer_blocks.1.attn.\($0)" }
      ),
    ] { #expect(family.layerParts(ofOriginal: name)?.layers == layers) }
    for (name, areSwapped) in [
      ("joint_blocks.0.context_block.adaLN_modulation.1", false),
      ("joint_blocks.1.context_block.adaLN_modulation.1", true),
      ("final_layer.adaLN_modulation.1", true),
    ] { #expect(family.layerParts(ofOriginal: name)?.areHalvesSwapped == areSwapped) }
    for name in [
      "double_blocks.0.img_attn.proj", "joint_blocks.x", "joint_blocks.0.x_block.attn.qkv.1",
      "final_layer.adaLN_modulation.1.2", "pos_embed",
    ] { #expect(family.layerParts(ofOriginal: name) == nil) }
  }
}
