import FlowCore
import FlowEngine
import FlowGraph
import FlowTestSupport
import Testing

@testable import FlowModels
@testable import StreamFlow

/// A family of a few lines whose image and text are one sequence: what is exact for cross-attention
/// is not for it.
@Suite(.tags(.engine)) struct JointAttentionTests {
  /// One layer of attention over the latent pixels and the tokens of the text together.
  struct Toy: ModelFamily {
    static let pipelines: [String] = []
    static let kinds: [ModelKind] = [
      ModelKind(
        name: "a toy", sign: "this test", schedule: .flowMatching, stepCount: 4, guidanceScale: 1
      ) { _ in true }
    ]
    static func recognizes(_ store: WeightStore) -> Bool { false }
    static func open(_ source: ModelSource, _ options: LoadOptions) throws -> ModelParts {
      throw ModelError(code: .unsupported, message: "a toy is on no disk")
    }

    /// Whose text encoder it has.
    let base: StableDiffusion
    let conditioningLayout: ConditioningLayout

    var latentSpace: LatentSpace {
      LatentSpace(channels: 4, height: 16, width: 16, published: nil)
    }
    var textEncoders: [any TextEncoding] { base.textEncoders }
    var readsGuidanceScale: Bool { false }
    var zeroesEmptyPrompt: Bool { false }
    var textWidth: Int { base.textWidth }
    var readsPooledText: Bool { false }

    func states(of encoded: [EncodedText]) throws(ModelError) -> TextStates {
      try base.states(of: encoded)
    }
    func conditioning(
      of states: TextStates?, guidanceScale: Float, size: PixelSize
    ) -> Conditioning {
      base.conditioning(of: states, guidanceScale: guidanceScale, size: size)
    }

    func network(
      _ shape: BatchShape, precomputed: Set<PortName>, adapters: [any NetworkAdapter],
      weights: WeightScope
    ) throws(GraphError) -> Graph {
      let graph = Graph(name: "toy_\(shape.rows)x\(shape.height)x\(shape.width)_\(shape.tokens)")
      let sample = graph.input("sample", shape: [shape.rows, 4, shape.height, shape.width])
      let time = try graph.input("timestep", shape: [shape.rows]) * 0.001
      let text = graph.input("hidden", shape: [shape.rows, shape.tokens, textWidth])
      let hooks = try NetworkHooks(graph, rows: shape.rows, adapters: adapters)
      func matrix(_ rows: Int, _ columns: Int, seed: UInt64) -> Value {
        var noise = GaussianNoise(seed: seed)
        let scale = 1 / Float(rows).squareRoot()
        return graph.constant(
          noise.latents(shape: [rows, columns]).scalars.map { $0 * scale },
          shape: [rows, columns])
      }
      let pixels = try hooks(
        .input, sample.flattenedToTokens().matrixProduct(matrix(4, 8, seed: 1)))
      let tokens = try text.matrixProduct(matrix(textWidth, 8, seed: 2)) * 4
      let joined = try Value.concatenated([pixels, tokens], axis: 1)
      let attended = try joined.matrixProduct(matrix(8, 8, seed: 3)).attention(
        key: joined.matrixProduct(matrix(8, 8, seed: 4)),
        value: joined.matrixProduct(matrix(8, 8, seed: 5)), heads: 2)
      let count = shape.height * shape.width
      let output = try attended.sliced(axis: 1, from: 0, to: count)
        .matrixProduct(matrix(8, 4, seed: 6)).unflattened(height: shape.height, width: shape.width)
      graph.output(
        try output * 2 + sample * time.reshaped([shape.rows, 1, 1, 1]), as: "output")
      _ = try hooks(.crossAttention("attention"), attended, query: joined)
      return graph
    }

    func precomputedInputs(
      _ shape: BatchShape, only: Set<PortName>?, weights: WeightScope
    ) throws(GraphError) -> [PrecomputedInput] { [] }
    func activationByteCount(latentPixels: Double) -> Double { latentPixels * 1000 }
    func layerName(ofOriginal name: String) -> String? { nil }
    func floatLayers(weights: WeightScope) throws(GraphError) -> Set<String> { [] }
  }

  private static func checkpoint(_ layout: ConditioningLayout) throws -> Checkpoint {
    let starter = try Checkpoint.starter64()
    let parts = ModelParts(
      pipelineName: "ToyPipeline",
      family: Toy(base: starter.stableDiffusion, conditioningLayout: layout),
      components: starter.components.filter { $0.role != .autoencoder },
      autoencoder: AutoencoderParts(
        configuration: starter.autoencoder, weights: starter.autoencoderWeights),
      scheduler: starter.scheduler)
    return try Checkpoint(name: "toy", folder: starter.folder, parts, notes: starter.notes)
  }

  private static let long = String(repeating: "a red fox and a blue bird, ", count: 12)

  private static func requests() -> [GenerationRequest] {
    ["a fox", long, "a bird", long + "in the snow"].enumerated().map { index, prompt in
      var request = GenerationRequest(prompt: prompt)
      request.seed = UInt64(index)
      request.stepCount = 2 + index
      return request
    }
  }

  /// The largest difference of images made together from the same made alone.
  private static func difference(_ layout: ConditioningLayout) async throws -> Float {
    let checkpoint = try checkpoint(layout)
    var options = GeneratorOptions()
    options.rowCapacity = 4
    let generator = try Generator(checkpoint: checkpoint, options: options, engines: .ofTests)
    var together: [Int: [UInt8]] = [:]
    for try await image in try await generator.images(for: requests()) {
      together[image.index] = image.image.pixels
    }
    var worst: Float = 0
    for (index, request) in requests().enumerated() {
      let alone = try Generator(checkpoint: checkpoint, options: options, engines: .ofTests)
      for try await image in try await alone.images(for: [request]) {
        for (left, right) in zip(image.image.pixels, together[index] ?? []) {
          worst = max(worst, abs(Float(left) - Float(right)))
        }
      }
    }
    return worst
  }

  @Test("Prompts of different lengths fly together in lanes, each as alone")
  func lanes() async throws {
    #expect(try await Self.difference(.joint) <= 1)
    // Repeated as for cross-attention, a text would have more weight beside a longer one.
    #expect(try await Self.difference(.crossAttention) > 8)
  }

  @Test("Prompt and negative prompt of different lengths are refused where none can be repeated")
  func lengths() async throws {
    let generator = try Generator(checkpoint: Self.checkpoint(.joint), engines: .ofTests)
    var request = GenerationRequest(prompt: Self.long)
    request.guidance = .full(scale: 2)
    let events = try await generator.events(for: [request])
    var failures: [String] = []
    for try await event in events {
      if case .failed(_, let error) = event { failures.append("\(error)") }
    }
    #expect(failures.count == 1 && failures[0].contains("chunks of tokens, which must be equal"))
  }

  /// Adds an input to a value at a hook.
  private struct Bias: NetworkAdapter {
    let hook: NetworkHook
    let shape: Shape

    func attach(to hooks: inout NetworkHooks) throws(GraphError) {
      let bias = hooks.graph.input("bias", shape: shape)
      hooks.attach(at: hook) { (value, _) throws(GraphError) in try value + bias }
    }
  }

  @Test("An adapter acts where it is attached, and one that adds nothing changes nothing")
  func adapters() async throws {
    let checkpoint = try Checkpoint(folder: PipelineTests.folder("sd"))
    let shape = BatchShape(rows: 1, height: 8, width: 8, tokens: checkpoint.tokenCount)
    let weights = checkpoint.networkWeights
    func output(_ adapters: [any NetworkAdapter], bias: Float = 0) async throws -> [Float] {
      let graph = try checkpoint.family.network(
        shape, precomputed: [], adapters: adapters, weights: weights.root)
      let program = try await EngineStore.ofTests.program(
        for: GraphModule(graph, weightsIdentity: weights.identity))
      for port in program.inputs {
        var noise = GaussianNoise(seed: 3)
        let scalars = noise.latents(shape: port.shape).scalars
        program.write(
          port.name, ContiguousArray(port.name == "bias" ? scalars.map { _ in bias } : scalars).span
        )
      }
      try program.run()
      return program.floats("output")
    }
    let plain = try await output([])
    let width = checkpoint.unet.levels[0].channels
    let hooks: [(NetworkHook, Shape)] = [
      (.input, [1, width, 8, 8]), (.skip(0), [1, width, 8, 8]), (.middle, [1]),
      (.downBlock(0), [1]),
      (.crossAttention("mid_block.attentions.0.transformer_blocks.0.attn2"), [1]),
    ]
    for (hook, shape) in hooks {
      let adapter = Bias(hook: hook, shape: shape)
      expectClose(try await output([adapter]), plain, relativeTolerance: 1e-5)
      #expect(try await output([adapter], bias: 1) != plain, "\(hook)")
    }
  }
}
