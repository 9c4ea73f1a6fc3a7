import FlowCore
import FlowEngine
import FlowGraph
import FlowTestSupport
import FlowText
import Foundation
import Testing

@testable import FlowModels

/// A tiny FLUX as diffusers saves it, dev and schnell: what is read, what the network reads of a
/// prompt, and the images that come of it.
@Suite(.tags(.engine)) struct FluxTests {
  struct Case: Decodable {
    let prompt: String
    let seed: UInt64
    let steps: Int
    let guidance: Float
    let width: Int
    let height: Int
    let strength: Double?
  }

  static func folder(_ model: String) -> String { Bundle.module.fixture("pipelines/\(model)") }

  private static func floats(_ program: Program, _ name: PortName) -> [Float] {
    program.read(name, as: Float.self) { span in span.indices.map { span[$0] } }
  }

  private static func program(_ graph: Graph, _ weights: WeightStore) async throws -> Program {
    try await Program.shared(GraphModule(graph, weightsIdentity: weights.identity))
  }

  /// What the text encoders make of a prompt.
  private static func states(
    of prompt: String, _ checkpoint: Checkpoint
  ) async throws -> TextStates {
    var encoded: [EncodedText] = []
    for (index, encoding) in checkpoint.textEncoders.enumerated() {
      let weights = checkpoint.weights(of: .textEncoder(index))
      let program = try await program(
        encoding.graph(skippedLayers: 0, weights: weights.root), weights)
      let chunks = encoding.chunks(of: prompt, syntax: .plain).chunks
      let chunk = try #require(chunks.first)
      for (name, elements) in encoding.inputs(of: chunk) {
        program.write(name, ContiguousArray(elements).span)
      }
      try program.run()
      encoded.append(
        EncodedText(
          width: encoding.width, hidden: floats(program, "hidden"),
          pooled: program.outputs.contains { $0.name == "pooled" } ? floats(program, "pooled") : [],
          chunkCount: chunks.count, tokenCount: chunk.endIndex + 1))
    }
    return try checkpoint.family.states(of: encoded)
  }

  @Test(
    "T5's states and CLIP's pooled text, which is not projected, are diffusers'",
    arguments: [("flux", 512), ("flux-schnell", 256)])
  func states(model: String, tokenCount: Int) async throws {
    let checkpoint = try Checkpoint(folder: Self.folder(model))
    let golden = try Golden("pipelines/\(model).safetensors", in: .module)
    let prompts = try JSONDecoder().decode(
      [String].self, from: Data(try #require(golden.metadata["prompts"]).utf8))
    for (index, prompt) in prompts.enumerated() {
      let states = try await Self.states(of: prompt, checkpoint)
      #expect(states.hidden.count == tokenCount * 24 && states.width == 24)
      expectClose(
        Array(states.hidden.prefix(16 * 24) + states.hidden.suffix(24)),
        try golden.floats("text.\(index).hidden"), relativeTolerance: 1e-5)
      expectClose(
        states.pooled, try golden.floats("text.\(index).pooled"), relativeTolerance: 1e-5)
    }
  }

  @Test(
    "Steps along the model's own schedule make diffusers' images",
    arguments: ["flux", "flux-schnell"])
  func images(model: String) async throws {
    let checkpoint = try Checkpoint(folder: Self.folder(model))
    let golden = try Golden("pipelines/\(model).safetensors", in: .module)
    let cases = try JSONDecoder().decode(
      [Case].self, from: Data(try #require(golden.metadata["cases"]).utf8))
    #expect(cases.count == 5)
    for (index, item) in cases.enumerated() where item.strength == nil {
      let latents = try await Self.latents(of: item, checkpoint)
      let autoencoder = Autoencoder(
        configuration: checkpoint.autoencoder, weights: checkpoint.autoencoderWeights.root)
      let decoder = try await Self.program(
        autoencoder.decoderGraph(rows: 1, height: item.height / 4, width: item.width / 4),
        checkpoint.autoencoderWeights)
      decoder.write("latents", latents.span)
      try decoder.run()
      let pixels = decoder.read("pixels", as: UInt8.self) { span in
        span.indices.map { Float(span[$0]) }
      }
      let expected = try golden.floats("\(index).pixels")
      #expect(Set(expected).count > 50)  // an image, not black and white
      expectClose(pixels, expected, tolerance: 1)
    }
  }

  /// The latents that a case ends with.
  private static func latents(
    of item: Case, _ checkpoint: Checkpoint
  ) async throws -> ContiguousArray<Float> {
    let family = checkpoint.family
    let (height, width) = (item.height / 4, item.width / 4)
    let schedule = checkpoint.scheduler.schedule(
      .flowMatching, spacing: family.spacing,
      imageTokenCount: family.imageTokenCount(latentPixels: height * width), shift: nil)
    let plan = try schedule.plan(stepCount: item.steps, solver: .euler, strength: 1)
    let conditioning = family.conditioning(
      of: try await states(of: item.prompt, checkpoint), guidanceScale: item.guidance,
      size: PixelSize(width: item.width, height: item.height))
    let weights = checkpoint.networkWeights
    let shape = BatchShape(
      rows: 1, height: height, width: width, tokens: checkpoint.tokenCount)
    let inputs = try family.precomputedInputs(shape, only: nil, weights: weights.root)
    let table = try #require(inputs.first)
    let times = try await program(table.graph, weights)
    let network = try await program(
      family.network(
        shape, precomputed: Set(inputs.map(\.name)), adapters: [], weights: weights.root),
      weights)
    for input in conditioning.inputs {
      (times.hasInput(input.name) ? times : network).write(input.name, input.elements.span)
    }
    var noise = GaussianNoise(seed: item.seed)
    var sample = ContiguousArray(noise.latents(shape: [16, height, width]).scalars)
    for row in plan.rows {
      times.write("timestep", ContiguousArray([row.timestep]).span)
      try times.run()
      network.write(table.name, ContiguousArray(floats(times, "table")).span)
      network.write("sample", sample.span)
      try network.run()
      let velocity = floats(network, "output")
      for index in sample.indices {
        sample[index] =
          Float(row.sample) * sample[index] + Float(row.output) * velocity[index]
      }
    }
    return sample
  }

  @Test("Components, sizes and what suits the model are those of its files")
  func parts() throws {
    let dev = try Checkpoint(folder: Self.folder("flux"))
    #expect(
      dev.components.map(\.name) == ["transformer", "text_encoder", "text_encoder_2", "vae"])
    #expect(
      dev.components.map(\.architecture)
        == ["FluxTransformer2DModel", "CLIPTextModel", "T5EncoderModel", "AutoencoderKL"])
    // No layer of CLIP's can be skipped: the pooled text is the last one's.
    #expect(dev.textEncoders.map(\.layerCount) == [1, .max])
    #expect(dev.sizeMultiple == 8 && dev.tokenCount == 512)
    #expect(dev.family.conditioningLayout == .joint)
    #expect(dev.scheduleFinding.schedule == .flowMatching)
    #expect(dev.scheduleFinding.reason.hasPrefix("FLUX.1 dev"))
    #expect(dev.defaults().stepCount == 28 && dev.defaults().guidanceScale == 3.5)
    #expect(dev.guidance(scale: 3.5) == .distilled(scale: 3.5))
    let schnell = try Checkpoint(folder: Self.folder("flux-schnell"))
    #expect(schnell.tokenCount == 256)
    #expect(schnell.scheduleFinding.reason.hasPrefix("FLUX.1 schnell"))
    #expect(schnell.defaults().stepCount == 4 && schnell.defaults().guidanceScale == 1)
    #expect(schnell.guidance(scale: 1) == .none)
    for checkpoint in [dev, schnell] {
      let weights = checkpoint.networkWeights.root
      let shape = BatchShape(rows: 2, height: 8, width: 8, tokens: checkpoint.tokenCount)
      let family = checkpoint.family
      #expect(try family.precomputedInputs(shape, only: [], weights: weights).isEmpty)
      let graph = try family.network(shape, precomputed: [], adapters: [], weights: weights)
      let module = GraphModule(graph, weightsIdentity: [])
      let conditioning = family.conditioning(
        of: nil, guidanceScale: 2, size: PixelSize(width: 32, height: 32))
      #expect(
        Set(module.inputs.map(\.name))
          == Set(["sample", "timestep"] + conditioning.inputs.map(\.name)))
      for input in conditioning.inputs {
        let port = try #require(module.inputs.first { $0.name == input.name })
        #expect(port.shape.elementCount == 2 * input.elements.count)
      }
      // The layers that compute in float32 are layers of the network.
      let layers = Set(graph.layers.map(\.name))
      #expect(try family.floatLayers(weights: weights).isSubset(of: layers))
    }
  }

  @Test("A pipeline of FLUX.1 Kontext is one, and others are refused")
  func pipelines() throws {
    let temporary = try TemporaryFolder()
    let copy = "\(temporary.path)/kontext"
    try FileManager.default.copyItem(atPath: Self.folder("flux"), toPath: copy)
    func index(_ name: String) throws {
      let text = #"{"_class_name":"\#(name)"}"#
      try text.write(toFile: "\(copy)/model_index.json", atomically: true, encoding: .utf8)
    }
    try index("FluxKontextPipeline")
    let kontext = try Checkpoint(folder: copy)
    #expect(kontext.scheduleFinding.reason.hasPrefix("FLUX.1 Kontext"))
    #expect(kontext.defaults().stepCount == 28)
    try index("FluxControlPipeline")
    let error = #expect(throws: ModelError.self) { try Checkpoint(folder: copy) }
    #expect(error?.message.contains("FluxControlPipeline") == true)
  }

  @Test("Text encoders of another model are refused with both widths")
  func widths() throws {
    let temporary = try TemporaryFolder()
    let copy = "\(temporary.path)/flux"
    try FileManager.default.copyItem(atPath: Self.folder("flux"), toPath: copy)
    try FileManager.default.removeItem(atPath: "\(copy)/text_encoder")
    try FileManager.default.copyItem(
      atPath: Bundle.module.fixture("pipelines/sd3/text_encoder_2"),
      toPath: "\(copy)/text_encoder")
    let error = #expect(throws: ModelError.self) { try Checkpoint(folder: copy) }
    #expect(error?.message.contains("text_encoder is 20 wide, the network reads 16") == true)
  }
}
