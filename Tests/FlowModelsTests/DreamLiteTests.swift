import FlowCore
import FlowEngine
import FlowGraph
import FlowTestSupport
import Foundation
import Testing

@testable import FlowModels

/// A whole tiny DreamLite against diffusers' pipelines.
@Suite(.tags(.engine)) struct DreamLiteTests {
  @Test("Prompts become the states after the template, cut at 200 tokens", arguments: 0...2)
  func text(index: Int) async throws {
    let fixture = try ModelFixture("dreamlite")
    let states = try await fixture.states(of: fixture.prompts[index])
    let expected = try fixture.golden.floats("text.\(index).hidden")
    #expect(states.tokenCount == [120, 168, 200][index])
    #expect(states.chunkCount == [4, 6, 7][index])
    #expect(states.hidden.count == states.chunkCount * 32 * 24)
    expectClose(Array(states.hidden.prefix(expected.count)), expected, relativeTolerance: 1e-4)
    #expect(states.hidden.dropFirst(expected.count).allSatisfy { $0 == 0 })
    let conditioning = fixture.family.conditioning(
      of: states, guidanceScale: 1, size: PixelSize(width: 48, height: 32))
    #expect(conditioning.elements(of: "realCount") == [Float(states.tokenCount)])
    #expect(conditioning.elements(of: "sizes") == [48, 32])
  }

  @Test("The network with the other choice of each option, and the original block names")
  func plain() async throws {
    let folder = Bundle.module.fixture("dreamlite-plain")
    let store = try WeightStore(folder: folder, stem: "diffusion_pytorch_model")
    let configuration = try DreamLiteConfiguration(
      ConfigurationFile(path: "\(folder)/config.json"))
    let golden = try Golden("dreamlite-plain/golden.safetensors", in: .module)
    let graph = try DreamLiteNetwork(configuration: configuration, weights: store.root)
      .graph(BatchShape(rows: 2, height: 6, width: 4, tokens: 7))
    let program = try await Program.shared(GraphModule(graph, weightsIdentity: store.identity))
    for name in ["sample", "hidden", "realCount", "timestep", "sizes"] {
      program.write(PortName(name), ContiguousArray(try golden.floats(name)).span)
    }
    try program.run()
    let output = program.read("output", as: Float.self) { span in span.indices.map { span[$0] } }
    expectClose(output, try golden.floats("output"), relativeTolerance: 1e-4)
  }

  @Test("Images are diffusers', with guidance and without, of any shape", arguments: 0...5)
  func images(index: Int) async throws {
    let fixture = try ModelFixture("dreamlite")
    let expected = try fixture.golden.floats("\(index).pixels")
    #expect(Set(expected).count > 100)
    expectClose(try await fixture.image(index).map(Float.init), expected, tolerance: 2)
  }

  @Test("What the models are, and what suits them")
  func kinds() throws {
    let mobile = try ModelFixture("dreamlite").checkpoint
    #expect(mobile.scheduleFinding.reason.hasPrefix("DreamLite-mobile: "))
    #expect(mobile.defaults() == GenerationDefaults(stepCount: 4, guidanceScale: 1))
    #expect(mobile.sizeMultiple == 4 && mobile.family.references == nil)
    let base = try Self.checkpoint { folder in
      try Self.replace("DreamLiteMobilePipeline", by: "DreamLitePipeline", in: folder)
    }
    #expect(base.defaults() == GenerationDefaults(stepCount: 30, guidanceScale: 3.5))
  }

  @Test("The configuration that Qwen3-VL's repository has is read as that of transformers 5")
  func olderConfiguration() throws {
    let older = try Self.checkpoint { folder in
      let path = "\(folder)/text_encoder/config.json"
      let text = try String(contentsOfFile: path, encoding: .utf8)
      let parameters = try #require(text.firstMatch(of: /"rope_parameters": \{[^}]*\}/))
      let scaling = """
        "rope_scaling": {"mrope_interleaved": true, "mrope_section": [2, 1, 1], \
        "rope_type": "default"}, "rope_theta": 5000000
        """
      try text.replacing(parameters.0, with: scaling)
        .write(toFile: path, atomically: true, encoding: .utf8)
    }
    let family = try #require(older.family as? DreamLite)
    let current = try #require(ModelFixture("dreamlite").family as? DreamLite)
    #expect(family.qwen.configuration == current.qwen.configuration)
    #expect(family.qwen.configuration.theta == 5_000_000)
  }

  @Test(
    "What is not known is refused with key, value and what is expected",
    arguments: [
      ("unet", "\"rms_norm\"", "\"layer_norm\"", "qk_norm"),
      ("unet", "\"DreamLiteUpBlock2D\"", "\"ResnetUpBlock2D\"", "up_block_types"),
      ("unet", "\"num_kv_heads\": 2", "\"num_kv_heads\": 3", "num_kv_heads"),
      ("unet", "\"encoder_hid_dim\": 24", "\"encoder_hid_dim\": 32", "encoder_hid_dim"),
      ("unet", "\"encoder_hid_dim_type\": \"text_proj_rms\"", "\"a\": 1", "encoder_hid_dim_type"),
      ("unet", "\"DreamLiteUNetMidBlock2DCrossAttn\"", "null", "mid_block_type"),
      (
        "unet", "\"only_cross_attention\": false", "\"only_cross_attention\": [true, false, false]",
        "only_cross_attention"
      ),
      ("text_encoder", "\"qwen3_vl_text\"", "\"llama\"", "model_type"),
    ])
  func refusals(part: String, old: String, new: String, key: String) throws {
    let error = #expect(throws: ModelError.self) {
      try Self.checkpoint { try Self.replace(old, by: new, in: $0, file: "\(part)/config.json") }
    }
    #expect(error?.message.contains(key) == true, "\(error?.message ?? "")")
  }

  @Test("Another file of Qwen3-VL replaces the text encoder's weights")
  func replaced() throws {
    let folder = Bundle.module.fixture("pipelines/dreamlite")
    let file = "\(folder)/text_encoder/model.safetensors"
    #expect(try TextEncoderFile(path: file).width == 24)
    let model = try Checkpoint(folder: folder, files: ComponentFiles(textEncoders: [file]))
    #expect(model.weights(of: .textEncoder(0)).weights.count == 2 + 3 * 11)
  }

  @Test("An autoencoder of another family is rejected")
  func pairing() throws {
    let folder = Bundle.module.fixture("pipelines/dreamlite")
    let temporary = try TemporaryFolder()
    let place = "\(temporary.path)/taesd"
    try FileManager.default.copyItem(atPath: "\(folder)/vae", toPath: place)
    let error = #expect(throws: ModelError.self) {
      try Checkpoint(folder: folder, autoencoder: .path(place))
    }
    #expect(error?.message.contains("use 'taesdxl'") == true, "\(error?.message ?? "")")
  }

  /// The fixture's model after a change of its files.
  private static func checkpoint(
    changed: (_ folder: String) throws -> Void
  ) throws -> Checkpoint {
    let temporary = try TemporaryFolder()
    let copy = "\(temporary.path)/model"
    try FileManager.default.copyItem(
      atPath: Bundle.module.fixture("pipelines/dreamlite"), toPath: copy)
    try changed(copy)
    return try Checkpoint(folder: copy)
  }

  private static func replace(
    _ old: String, by new: String, in folder: String, file: String = "model_index.json"
  ) throws {
    let path = "\(folder)/\(file)"
    let text = try String(contentsOfFile: path, encoding: .utf8)
    #expect(text.contains(old))
    try text.replacing(old, with: new).write(toFile: path, atomically: true, encoding: .utf8)
  }
}
