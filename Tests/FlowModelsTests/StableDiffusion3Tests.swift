import FlowCore
import FlowEngine
import FlowGraph
import FlowTestSupport
import FlowText
import Foundation
import Testing

@testable import FlowModels

/// A tiny Stable Diffusion 3 as diffusers saves it: what is read, and what the network reads of a
/// prompt.
@Suite(.tags(.engine)) struct StableDiffusion3Tests {
  private static let folder = Bundle.module.fixture("pipelines/sd3")

  private static func family(_ checkpoint: Checkpoint) throws -> StableDiffusion3 {
    try #require(checkpoint.family as? StableDiffusion3)
  }

  /// A copy of the model with some text of a file replaced.
  private static func edited(
    _ file: String, _ text: String, _ replacement: String, in temporary: TemporaryFolder
  ) throws -> String {
    let copy = "\(temporary.path)/sd3"
    try FileManager.default.copyItem(atPath: folder, toPath: copy)
    let path = "\(copy)/\(file)"
    let old = try String(contentsOfFile: path, encoding: .utf8)
    let new = old.replacingOccurrences(of: text, with: replacement, options: .regularExpression)
    #expect(new != old, "\(text) is not in \(file)")
    try new.write(toFile: path, atomically: true, encoding: .utf8)
    return copy
  }

  private static func withoutT5(in temporary: TemporaryFolder) throws -> String {
    let copy = try edited(
      "model_index.json", #""text_encoder_3": \[[^\]]*\]"#, #""text_encoder_3": [null, null]"#,
      in: temporary)
    try FileManager.default.removeItem(atPath: "\(copy)/text_encoder_3")
    return copy
  }

  /// What the text encoders make of a prompt.
  private static func states(
    of prompt: String, _ checkpoint: Checkpoint, syntax: PromptSyntax = .plain
  ) async throws -> TextStates {
    var encoded: [EncodedText] = []
    for (index, encoding) in checkpoint.textEncoders.enumerated() {
      let weights = checkpoint.weights(of: .textEncoder(index))
      let program = try await Program.shared(
        GraphModule(
          encoding.graph(skippedLayers: 0, weights: weights.root),
          weightsIdentity: weights.identity))
      let chunks = encoding.chunks(of: prompt, syntax: syntax).chunks
      let chunk = try #require(chunks.first)
      for (name, elements) in encoding.inputs(of: chunk) {
        program.write(name, ContiguousArray(elements).span)
      }
      try program.run()
      func floats(_ name: PortName) -> [Float] {
        program.read(name, as: Float.self) { span in span.indices.map { span[$0] } }
      }
      encoded.append(
        EncodedText(
          width: encoding.width, hidden: floats("hidden"),
          pooled: program.outputs.contains { $0.name == "pooled" } ? floats("pooled") : [],
          chunkCount: chunks.count, tokenCount: chunk.endIndex + 1))
    }
    return try checkpoint.family.states(of: encoded)
  }

  @Test("The states of three text encoders are put together as diffusers does")
  func states() async throws {
    let checkpoint = try Checkpoint(folder: Self.folder)
    let golden = try Golden("pipelines/sd3.safetensors", in: .module)
    let prompts = try JSONDecoder().decode(
      [String].self, from: Data(try #require(golden.metadata["prompts"]).utf8))
    for (index, prompt) in prompts.enumerated() {
      let states = try await Self.states(of: prompt, checkpoint)
      expectClose(
        states.hidden, try golden.floats("text.\(index).hidden"), relativeTolerance: 1e-5)
      expectClose(
        states.pooled, try golden.floats("text.\(index).pooled"), relativeTolerance: 1e-5)
      #expect(states.chunkCount == 1 && states.width == 40)
    }
  }

  @Test("Without T5 the network reads zeros in its place, as many tokens")
  func withoutT5() async throws {
    let temporary = try TemporaryFolder()
    let checkpoint = try Checkpoint(folder: Self.withoutT5(in: temporary))
    #expect(checkpoint.textEncoders.count == 2)
    let golden = try Golden("pipelines/sd3.safetensors", in: .module)
    let states = try await Self.states(of: "a fox on a blue background", checkpoint)
    #expect(states.hidden.count == (24 + 256) * 40)
    #expect(states.hidden[(24 * 40)...].allSatisfy { $0 == 0 })
    expectClose(
      Array(states.hidden[..<(2 * 40)]), try golden.floats("text.0.withoutT5"),
      relativeTolerance: 1e-5)
  }

  @Test("Where T5 is named but not there, the error says how to run without it")
  func missingT5() throws {
    let temporary = try TemporaryFolder()
    let copy = "\(temporary.path)/sd3"
    try FileManager.default.copyItem(atPath: Self.folder, toPath: copy)
    try FileManager.default.removeItem(atPath: "\(copy)/text_encoder_3")
    let error = #expect(throws: ModelError.self) { try Checkpoint(folder: copy) }
    #expect(error?.code == .fileMissing)
    #expect(error?.message.contains("make text_encoder_3 [null, null] there") == true)
  }

  /// An image of diffusers' pipeline.
  private struct Case: Decodable {
    let prompt: String
    let negative: String
    let seed: UInt64
    let steps: Int
    let guidance: Float
    let width: Int
    let height: Int
    let strength: Double?
    let withoutT5: Bool
  }

  /// The velocities of some conditionings at one time, each a row of a batch whose modulation is
  /// read from a table.
  private static func velocities(
    _ sample: [Float], _ timestep: Float, _ texts: [TextStates], size: PixelSize,
    _ checkpoint: Checkpoint
  ) async throws -> [[Float]] {
    let family = checkpoint.family
    let weights = checkpoint.networkWeights
    let shape = BatchShape(
      rows: texts.count, height: size.height / 4, width: size.width / 4,
      tokens: checkpoint.tokenCount)
    let precomputed = try family.precomputedInputs(shape, only: nil, weights: weights.root)
    let network = try await Program.shared(
      GraphModule(
        family.network(
          shape, precomputed: Set(precomputed.map(\.name)), adapters: [], weights: weights.root),
        weightsIdentity: weights.identity))
    let table = try await Program.shared(
      GraphModule(precomputed[0].graph, weightsIdentity: weights.identity))
    for (row, text) in texts.enumerated() {
      let conditioning = family.conditioning(of: text, guidanceScale: 1, size: size)
      table.write("timestep", ContiguousArray([timestep]).span)
      let pooled = try #require(conditioning.elements(of: "pooled"))
      table.write("pooled", pooled.span)
      try table.run()
      let modulation = table.read("table", as: Float.self) { span in
        ContiguousArray(span.indices.map { span[$0] })
      }
      network.write(precomputed[0].name, row: row, modulation.span)
      network.write("sample", row: row, ContiguousArray(sample).span)
      let hidden = try #require(conditioning.elements(of: "hidden"))
      network.write("hidden", row: row, hidden.span)
    }
    try network.run()
    let all = network.read("output", as: Float.self) { span in span.indices.map { span[$0] } }
    return texts.indices.map { Array(all[$0 * sample.count..<($0 + 1) * sample.count]) }
  }

  @Test("Images from text are those of diffusers' pipeline")
  func images() async throws {
    let golden = try Golden("pipelines/sd3.safetensors", in: .module)
    let cases = try JSONDecoder().decode(
      [Case].self, from: Data(try #require(golden.metadata["cases"]).utf8))
    let temporary = try TemporaryFolder()
    let withoutT5 = try Checkpoint(folder: Self.withoutT5(in: temporary))
    let whole = try Checkpoint(folder: Self.folder)
    for (index, item) in cases.enumerated() where item.strength == nil {
      let checkpoint = item.withoutT5 ? withoutT5 : whole
      let size = PixelSize(width: item.width, height: item.height)
      let shape: Shape = [16, size.height / 4, size.width / 4]
      var texts = [try await Self.states(of: item.prompt, checkpoint)]
      if item.guidance > 1 { texts.append(try await Self.states(of: item.negative, checkpoint)) }
      let plan = try checkpoint.scheduler.schedule(
        .flowMatching, spacing: checkpoint.family.spacing, imageTokenCount: 16, shift: nil
      ).plan(stepCount: item.steps, solver: .euler, strength: 1)
      let times = plan.rows.map(\.timestep)
      var noise = GaussianNoise(seed: item.seed)
      var sample = noise.latents(shape: shape).scalars
      for (time, next) in zip(times, times.dropFirst() + [0]) {
        let outputs = try await Self.velocities(sample, time, texts, size: size, checkpoint)
        for place in sample.indices {
          var velocity = outputs[0][place]
          if item.guidance > 1 {
            velocity = outputs[1][place] + item.guidance * (velocity - outputs[1][place])
          }
          sample[place] += (next - time) / 1000 * velocity
        }
      }
      let decoder = try await Program.shared(
        GraphModule(
          Autoencoder(
            configuration: checkpoint.autoencoder, weights: checkpoint.autoencoderWeights.root
          ).decoderGraph(rows: 1, height: shape[1], width: shape[2]),
          weightsIdentity: checkpoint.autoencoderWeights.identity))
      decoder.write("latents", ContiguousArray(sample).span)
      try decoder.run()
      let pixels = decoder.read("pixels", as: UInt8.self) { span in
        span.indices.map { Float(span[$0]) }
      }
      expectClose(pixels, try golden.floats("\(index).pixels"), tolerance: 1)
    }
  }

  @Test("A prompt is one chunk for each encoder, and what has no room is reported")
  func chunks() throws {
    let checkpoint = try Checkpoint(folder: Self.folder)
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
    // What follows a BREAK is read, not cut: it has no chunk of its own to begin.
    let whole = clip.chunks(of: "a fox BREAK on a blue background", syntax: .weighted)
    let plain = clip.chunks(of: "a fox on a blue background", syntax: .plain)
    #expect(whole.cut == nil && whole.chunks[0].tokens == plain.chunks[0].tokens)
  }

  @Test("Components, sizes and ports are the model's")
  func parts() throws {
    let checkpoint = try Checkpoint(folder: Self.folder)
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
    "Published models are told by configuration and name",
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
    let family = try Self.family(Checkpoint(folder: Self.folder))
    var configuration = family.transformer
    if !text.isEmpty {
      let temporary = try TemporaryFolder()
      let copy = try Self.edited("transformer/config.json", text, replacement, in: temporary)
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

  @Test("A checkpoint's own defaults are its kind's")
  func defaults() throws {
    let checkpoint = try Checkpoint(folder: Self.folder)
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
    let copy = try Self.edited(file, text, replacement, in: temporary)
    let error = #expect(throws: ModelError.self) { try Checkpoint(folder: copy) }
    #expect(error?.message.contains(problem) == true, "\(error?.message ?? "")")
  }

  @Test(
    "An autoencoder of another family's latents is refused, and the one that fits is named",
    arguments: [
      ("0.3611", "with scaling_factor 0.3611 goes with FLUX.1 and Z-Image"),
      ("0.18215", "with scaling_factor 0.18215 goes with Stable Diffusion 1 and 2"),
    ])
  func pairing(scale: String, problem: String) throws {
    let temporary = try TemporaryFolder()
    let copy = try Self.edited(
      "vae/config.json", #""scaling_factor": 1.5305"#, "\"scaling_factor\": \(scale)",
      in: temporary)
    let error = #expect(throws: ModelError.self) { try Checkpoint(folder: copy) }
    #expect(error?.message.contains(problem) == true, "\(error?.message ?? "")")
    #expect(error?.message.contains("taesd3 with Stable Diffusion 3, taef1 with FLUX.1") == true)
  }
}
