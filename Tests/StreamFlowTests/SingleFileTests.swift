import FlowCore
import FlowEngine
import FlowGraph
import FlowTestSupport
import FlowText
import Foundation
import Testing

@testable import FlowModels
@testable import StreamFlow

/// Checkpoints in one file, against diffusers' own conversion (`Scripts/fixtures/singlefile.py`).
@Suite(.tags(.engine)) struct SingleFileTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  /// The lines of a list: a tensor's name, its shape, and what diffusers calls it.
  static func list(
    _ name: String
  ) throws -> [(name: String, shape: [Int], current: [String])] {
    let path = Bundle.module.fixture("singlefiles/\(name).txt")
    return try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").map { line in
      let words = line.split(separator: " ").map(String.init)
      let shape = words[1].split(separator: "x").compactMap { Int($0) }
      return (words[0], shape, Array(words.dropFirst(2)))
    }
  }

  /// The values that the script gives a tensor, from its name alone.
  static func formula(_ name: String, _ shape: [Int]) -> [Float] {
    let seed = name.utf8.reduce(UInt32(2_166_136_261)) { ($0 ^ UInt32($1)) &* 16_777_619 }
    let count = shape.reduce(1, *)
    let fan = shape.count > 1 ? Double(count / shape[0]) : 25
    let step = Float(exp2(-(log2(fan * 2) / 2).rounded(.up)))
    let shift: Float = shape.count == 1 && name.hasSuffix("weight") ? 1 : 0
    var values = [Float](repeating: 0, count: count)
    for index in 0..<count {
      var mixed = UInt32(index) &* 2_654_435_761 &+ seed
      mixed ^= mixed >> 15
      mixed = mixed &* 2_246_822_519
      mixed ^= mixed >> 13
      values[index] = (Float((mixed >> 20) % 5) - 2) * step + shift
    }
    return values
  }

  /// Writes a tiny checkpoint of a family, without the tensors of some names.
  private func write(_ family: String, without omitted: String = "nothing") throws -> String {
    let tensors = try Self.list("\(family)-tiny").filter { !$0.name.hasPrefix(omitted) }
      .map { (name: $0.name, shape: $0.shape, scalars: Self.formula($0.name, $0.shape)) }
    return try folder.write(SafetensorsWriter.file(tensors), as: "my \(family).safetensors")
  }

  @Test(
    "Every name of the full-size models becomes what diffusers makes of it",
    arguments: ["sd1", "sd2", "sdxl"])
  func names(family: String) throws {
    let lines = try Self.list("\(family)-names")
    #expect(lines.count > 900)
    for (name, _, current) in lines {
      let first = try #require(current.first, "\(name)")
      let found: String? =
        if name.hasPrefix("first_stage_model.") {
          OriginalNames.autoencoder(String(name.dropFirst(18)), levelCount: 4).map { "vae/\($0)" }
        } else if let range = name.range(of: ".model.") {
          OriginalNames.openCLIP(String(name[range.upperBound...])).map {
            "\(first.prefix { $0 != "/" })/\($0)"
          }
        } else if let range = name.range(of: ".text_model.") {
          "text_encoder/\(name[range.upperBound...])"
        } else {
          OriginalNames.unet(name, layersPerBlock: 2).map { "unet/\($0)" }
        }
      // Queries, keys and values are one tensor, which is split when the file is read.
      let joined = first.replacing("q_proj.", with: "in_proj_")
      #expect(found == (current.count == 3 ? joined : first), "\(name)")
      guard first.hasPrefix("unet/") else { continue }
      // And in a LoRA's spelling.
      let flat = OriginalNames.unet(name.replacing(".", with: "_"), layersPerBlock: 2) ?? ""
      #expect(flat.replacing(".", with: "_") == first.dropFirst(5).replacing(".", with: "_"))
    }
  }

  /// What the published `unet/config.json` files say, as far as it is no default.
  private static func published(_ family: SingleFile.Family) -> [String: ConfigurationFile.Value] {
    func numbers(_ numbers: [Int]) -> ConfigurationFile.Value {
      .list(numbers.map { .integer($0) })
    }
    func types(_ types: [String]) -> ConfigurationFile.Value { .list(types.map { .text($0) }) }
    let (cross, plain) = ("CrossAttnDownBlock2D", "DownBlock2D")
    let (upCross, upPlain) = ("CrossAttnUpBlock2D", "UpBlock2D")
    switch family {
    case .sd1:
      return [
        "attention_head_dim": .integer(8), "cross_attention_dim": .integer(768),
        "sample_size": .integer(64),
      ]
    case .sd2:
      return [
        "attention_head_dim": numbers([5, 10, 20, 20]), "cross_attention_dim": .integer(1024),
        "use_linear_projection": .bool(true), "sample_size": .integer(96),
      ]
    case .sdxl:
      return [
        "block_out_channels": numbers([320, 640, 1280]), "cross_attention_dim": .integer(2048),
        "attention_head_dim": numbers([5, 10, 20]), "use_linear_projection": .bool(true),
        "transformer_layers_per_block": numbers([1, 2, 10]), "sample_size": .integer(128),
        "down_block_types": types([plain, cross, cross]),
        "up_block_types": types([upCross, upCross, upPlain]),
        "addition_embed_type": .text("text_time"), "addition_time_embed_dim": .integer(256),
        "projection_class_embeddings_input_dim": .integer(2816),
      ]
    }
  }

  @Test(
    "The full-size shapes give the published configurations", arguments: ["sd1", "sd2", "sdxl"])
  func configurations(name: String) throws {
    let families: [String: SingleFile.Family] = ["sd1": .sd1, "sd2": .sd2, "sdxl": .sdxl]
    let family = try #require(families[name])
    var shapes: [String: [String: Shape]] = [:]
    for (_, shape, current) in try Self.list("\(name)-names") {
      let parts = current[0].split(separator: "/").map(String.init)
      shapes[parts[0], default: [:]][parts[1]] = Shape(shape)
    }
    func unet(_ values: [String: ConfigurationFile.Value]) throws -> UNetConfiguration {
      try UNetConfiguration(ConfigurationFile(path: name, values: values))
    }
    let derived = UNetConfiguration.values(of: try #require(shapes["unet"]), family)
    #expect(try unet(derived) == unet(Self.published(family)))
    let encoder = try #require(shapes[family == .sdxl ? "text_encoder_2" : "text_encoder"])
    let text = CLIPTextConfiguration.values(of: encoder, activation: "gelu")
    let layers: [String: Int] = ["sd1": 12, "sd2": 23, "sdxl": 32]
    let heads: [String: Int] = ["sd1": 12, "sd2": 16, "sdxl": 20]
    #expect(text["num_hidden_layers"] == layers[name].map { .integer($0) })
    #expect(text["num_attention_heads"] == heads[name].map { .integer($0) })
    #expect(text["max_position_embeddings"] == .integer(77))
    guard let autoencoder = shapes["vae"] else { return }
    let vae = FullAutoencoderConfiguration.values(
      of: autoencoder, latents: family == .sdxl ? .taesdxl : .taesd)
    #expect(vae["block_out_channels"]?.words == "[128, 256, 512, 512]")
    #expect(vae["layers_per_block"] == .integer(2) && vae["latent_channels"] == .integer(4))
    #expect(vae["mid_block_add_attention"] == .bool(true))
  }

  static func session(_ graph: Graph, _ store: WeightStore) throws -> Program {
    try Program.compiled(GraphModule(graph, weightsIdentity: store.identity))
  }

  static func write(_ scalars: [Float], to session: Program, input: Int) {
    session.withInput(input, as: Float.self) {
      for index in $0.indices { $0[index] = scalars[index] }
    }
  }

  private static func floats(_ session: Program, output: Int) -> [Float] {
    session.read(output, as: Float.self) { span in span.indices.map { span[$0] } }
  }

  /// What the network makes of the golden inputs.
  private static func output(_ checkpoint: Checkpoint, _ golden: Golden) throws -> [Float] {
    let unet = UNet(configuration: checkpoint.unet, weights: checkpoint.networkWeights.root)
    let graph = try unet.graph(.init(rows: 2, height: 6, width: 8, tokens: 12))
    let network = try session(graph, checkpoint.networkWeights)
    let inputs = ["sample", "timestep", "conditioning", "pooled", "sizes"]
    for (index, name) in inputs.filter(golden.names.contains).enumerated() {
      write(try golden.floats(name), to: network, input: index)
    }
    try network.run()
    return floats(network, output: 0)
  }

  @Test("A tiny file's parts give what diffusers' give", arguments: ["sd1", "sd2", "sdxl"])
  func parts(family: String) throws {
    let checkpoint = try Checkpoint.named(write(family))
    #expect(checkpoint.name == "my \(family)")
    let encoders = checkpoint.stableDiffusion.encoders
    #expect(encoders.map(\.configuration.layerCount).allSatisfy { $0 == 2 })
    let golden = try Golden("singlefiles/\(family)-golden.safetensors", in: .module)

    expectClose(
      try Self.output(checkpoint, golden), try golden.floats("output"), relativeTolerance: 1e-4)

    let autoencoder = Autoencoder(
      configuration: checkpoint.autoencoder, weights: checkpoint.autoencoderWeights.root)
    let decoder = try Self.session(
      autoencoder.decoderGraph(rows: 2, height: 6, width: 8), checkpoint.autoencoderWeights)
    Self.write(try golden.floats("sample"), to: decoder, input: 0)
    try decoder.run()
    let pixels = decoder.read(0, as: UInt8.self) { span in
      span.indices.map { Float(span[$0]) }
    }
    expectClose(pixels, try golden.floats("decoded"), tolerance: 1)

    for (index, encoder) in encoders.enumerated() {
      let weights = checkpoint.weights(of: .textEncoder(index))
      let graph = try encoder.graph(skippedLayers: 0, weights: weights.root)
      let session = try Self.session(graph, weights)
      for (input, name) in ["tokens", "end"].enumerated() {
        let numbers = try golden.floats(name)
        session.withInput(input, as: Int64.self) {
          for place in $0.indices { $0[place] = Int64(numbers[place]) }
        }
      }
      try session.run()
      expectClose(
        Self.floats(session, output: 0), try golden.floats("\(index).hidden"),
        relativeTolerance: 1e-4)
      expectClose(
        Self.floats(session, output: 1), try golden.floats("\(index).pooled"),
        relativeTolerance: 1e-4)
    }
  }

  @Test("Prompts are filled up as the family's own tokenizers do")
  func tokenizers() throws {
    let path = try write("sdxl")
    let file = try SingleFile(path: path, WeightStore(file: path))
    let ends = try file.textEncoders(.penultimate).map { encoder in
      encoder.encoding.tokenizer.encode("a photo of a cat", length: 77).tokens.suffix(2)
    }
    #expect(ends == [[49407, 49407], [0, 0]])
  }

  @Test("The schedule of a file is unknown until its overrides state it")
  func schedule() throws {
    let path = try write("sd2")
    let unknown = try Checkpoint(file: path)
    #expect(unknown.scheduleFinding.schedule == nil)
    #expect(unknown.scheduleFinding.reason.hasPrefix("'\(path)' has no scheduler, and neither"))
    let notes = try unknown.noting(schedule: .consistency)
    #expect(notes.path.hasSuffix("/my sd2.streamflow.json"))
    _ = try folder.write(notes.bytes, as: "my sd2.streamflow.json")
    #expect(try Checkpoint(file: path).scheduleFinding.schedule == .consistency)
    #expect(ModelReport(unknown).components.map(\.name) == ["unet", "text", "vae"])
  }

  @Test("A tokenizer of another model is rejected, and not looked up beyond the table")
  func vocabulary() async throws {
    let generator = try Generator(checkpoint: Checkpoint.named(write("sd1")), engines: .ofTests)
    var request = GenerationRequest(prompt: "fox")
    request.schedule = .rectified
    let stream = try await generator.images(for: [request])
    let error = await #expect(throws: ModelError.self) {
      for try await _ in stream {}
    }
    #expect(
      error?.message
        == "the tokenizer gives token 49406, and text_encoder knows 64 (its table of token "
        + "embeddings); they belong to different models")
  }

  @Test(
    "A file that is not whole says what is missing, and what helps",
    arguments: [
      ("sd1", "first_stage_model.", "has no autoencoder (first_stage_model.*): it is pruned"),
      ("sd1", "model.diffusion_model.", "is not a complete model: it has no network"),
      ("sd2", "cond_stage_model.", "has a network but no known text encoder"),
      ("sdxl", "conditioner.embedders.0.", "has a network but no known text encoder"),
      (
        "sdxl", "conditioner.embedders.1.model.text_projection",
        "the network reads a pooled text 64 wide"
      ),
    ])
  func pruned(family: String, omitted: String, expected: String) throws {
    let path = try write(family, without: omitted)
    let error = #expect(throws: ModelError.self) { try Checkpoint.named(path) }
    #expect(error?.message.contains(expected) == true, "\(error?.message ?? "")")
    guard omitted == "first_stage_model." else { return }
    let vae = AutoencoderChoice.path(Bundle.module.fixture("vae-full"))
    #expect(try Checkpoint.named(path, autoencoder: vae).autoencoder.latentChannels == 4)
  }

  @Test("A network of another kind, a variant and another file are refused")
  func refused() throws {
    let tensors: [(name: String, shape: [Int], scalars: [Float])] = [
      ("model.diffusion_model.time_stack.0.weight", [1], [1]),
      ("cond_stage_model.model.ln_final.weight", [1], [1]),
    ]
    let odd = try folder.write(SafetensorsWriter.file(tensors), as: "odd.safetensors")
    let error = #expect(throws: ModelError.self) { try Checkpoint.named(odd) }
    #expect(error?.message.contains("the network has 'time_stack.0.weight', which") == true)
    #expect(throws: ModelError.self) { try Checkpoint.named(odd, variant: "fp16") }
    let other = try folder.write([1], as: "model.ckpt")
    let kind = #expect(throws: ModelError.self) { try Checkpoint.named(other) }
    #expect(kind?.message.contains("is not a model file; expected a folder") == true)
  }

  @Test(
    "Absurd numbers and shapes are errors",
    arguments: [
      "model.diffusion_model.input_blocks.9223372036854775807.0.op.weight",
      "model.diffusion_model.input_blocks.-1.0.op.weight",
      "first_stage_model.decoder.up.9223372036854775807.block.0.conv1.weight",
      "cond_stage_model.model.transformer.resblocks.9223372036854775807.attn.in_proj_weight",
      "cond_stage_model.model.transformer.resblocks.0.attn.in_proj_bias",
    ])
  func absurd(name: String) throws {
    let tensors: [(name: String, shape: [Int], scalars: [Float])] = [
      ("model.diffusion_model.input_blocks.0.0.weight", [1], [1]),
      ("cond_stage_model.model.ln_final.weight", [1], [1]), (name, [], [1]),
    ]
    let path = try folder.write(SafetensorsWriter.file(tensors), as: "absurd.safetensors")
    #expect(throws: ModelError.self) { try Checkpoint.named(path) }
    let file = try SingleFile(path: path, WeightStore(file: path))
    _ = try? file.unet()
    _ = try? file.autoencoder()
    _ = try? file.textEncoders(.last)
  }

  @Test("A LoRA in the original names changes the same layers as one in diffusers'")
  func lora() throws {
    let checkpoint = try Checkpoint.named(write("sd2"))
    let (down, up) = (Self.formula("down", [2, 64]), Self.formula("up", [64, 2]))
    let (original, current) = (
      "lora_unet_middle_block_1_transformer_blocks_0_attn1_to_q",
      "unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_q"
    )
    let patched = try [
      [
        ("\(original).lora_down.weight", [2, 64], down),
        ("\(original).lora_up.weight", [64, 2], up),
      ],
      [("\(current).lora_A.weight", [2, 64], down), ("\(current).lora_B.weight", [64, 2], up)],
    ].enumerated().map { index, tensors in
      let path = try folder.write(SafetensorsWriter.file(tensors), as: "\(index).safetensors")
      return try checkpoint.applying(loras: [.init(path: path)])
    }
    #expect(patched.map { $0.additions[0].rest } == [[], []])
    let golden = try Golden("singlefiles/sd2-golden.safetensors", in: .module)
    let outputs = try patched.map { try Self.output($0, golden) }
    #expect(outputs[0] == outputs[1])
    let plain = try Self.output(checkpoint, golden)
    #expect(outputs[0] != plain)
  }
}
