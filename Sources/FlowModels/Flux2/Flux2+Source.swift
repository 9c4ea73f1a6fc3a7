internal import FlowGraph
internal import FlowText

extension Flux2 {
  /// Weights that no other family has together.
  private static let signs = [
    "double_blocks.0.img_attn.qkv.weight", "single_stream_modulation.lin.weight",
  ]

  static func recognizes(_ store: WeightStore) -> Bool {
    TransformerFile.prefix(in: store, of: signs) != nil
  }

  static func open(_ source: ModelSource, _ options: LoadOptions) throws -> ModelParts {
    switch source {
    case .folder(let folder, let index): return try open(folder: folder, index, options)
    case .file(let path, let store):
      return try open(
        TransformerFile(path: path, store, names: signs, family: "FLUX.2"), options)
    }
  }

  private static func transformer(
    _ file: TransformerFile
  ) throws -> (Flux2TransformerConfiguration, WeightStore) {
    let named = try file.network { (weight) throws(GraphError) in
      let parts = try Flux2Names.weights(weight)
      return parts.isEmpty ? nil : parts
    }
    let configuration = try Flux2TransformerConfiguration(
      ConfigurationFile(
        path: file.path, values: Flux2TransformerConfiguration.values(of: named.shapes)))
    return (configuration, try configuration.weights(named))
  }

  /// The network of a folder, or of a file in original names or in diffusers'.
  private static func transformer(
    folder: String, _ options: LoadOptions
  ) throws -> (Flux2TransformerConfiguration, WeightStore) {
    if let file = options.network, recognizes(file.store) {
      return try transformer(
        TransformerFile(path: file.path, file.store, names: signs, family: "FLUX.2"))
    }
    let configuration = try Flux2TransformerConfiguration(
      ConfigurationFile(path: "\(folder)/transformer/config.json"))
    return (
      configuration, try options.networkWeights(in: folder, configuration.weights)
    )
  }

  /// A file whose name has `base` is the model before its distillation, one with `kv` is klein KV;
  /// nothing else tells.
  private static func open(
    _ file: TransformerFile, _ options: LoadOptions
  ) throws -> ModelParts {
    let (configuration, network) = try transformer(file)
    try file.checkTextEncoder()
    return try parts(
      pipelineName: isCaching(file.path) ? cachingPipeline : pipelines[0], configuration, network,
      isDistilled: !file.stem.contains("base"), shiftsDynamically: true, folder: file.folder,
      path: file.path, options,
      autoencoder: file.autoencoder(options.autoencoder, latents: nil),
      scheduler: SchedulerConfiguration(
        ConfigurationFile(
          path: file.path,
          values: [
            "_class_name": .text("FlowMatchEulerDiscreteScheduler"),
            "use_dynamic_shifting": .bool(true), "shift": .number(3),
          ])))
  }

  /// Whether a file's name has the word `kv`.
  private static func isCaching(_ path: String) -> Bool {
    (path.split(separator: "/").last ?? "").lowercased()
      .split { !$0.isLetter && !$0.isNumber }.contains("kv")
  }

  private static func open(
    folder: String, _ index: ConfigurationFile, _ options: LoadOptions
  ) throws -> ModelParts {
    let (configuration, network) = try transformer(folder: folder, options)
    let schedule = try ConfigurationFile(path: "\(folder)/scheduler/scheduler_config.json")
    // The pipeline's own shift is an exponent.
    try schedule.require("time_shift_type", isOneOf: [.text("exponential")])
    // The weights decide how references are read.
    let pipeline =
      try options.network.map { isCaching($0.path) } == true
      ? cachingPipeline : index.text("_class_name") ?? "unnamed"
    return try parts(
      pipelineName: pipeline, configuration, network,
      isDistilled: index.bool("is_distilled", default: pipeline == cachingPipeline),
      shiftsDynamically: schedule.bool("use_dynamic_shifting", default: false), folder: folder,
      path: folder, options,
      autoencoder: .find(
        folder: folder, choice: options.autoencoder, variant: options.variant, latents: nil),
      scheduler: SchedulerConfiguration(schedule))
  }

  private static func parts(
    pipelineName: String, _ configuration: Flux2TransformerConfiguration, _ network: WeightStore,
    isDistilled: Bool, shiftsDynamically: Bool, folder: String, path: String,
    _ options: LoadOptions, autoencoder: AutoencoderParts, scheduler: SchedulerConfiguration
  ) throws -> ModelParts {
    let qwen = try Qwen3TextEncoding.open(
      folder: folder, template: .qwen3WithoutThinking, states: { _ in textStates },
      tokenCount: tokenCount, options)
    let family = try Flux2(
      configuration, qwen: qwen.encoding, isDistilled: isDistilled,
      shiftsDynamically: shiftsDynamically,
      cachesReferences: pipelineName == cachingPipeline, path: path)
    return ModelParts(
      pipelineName: pipelineName, family: family,
      components: [
        Component(
          .network, name: "transformer", architecture: "Flux2Transformer2DModel",
          weights: network),
        Component(
          .textEncoder(0), name: qwen.encoding.name, architecture: qwen.encoding.architecture,
          weights: qwen.weights),
      ], autoencoder: autoencoder, scheduler: scheduler)
  }

  static let kinds: [ModelKind] = [
    ModelKind(
      name: "FLUX.2 klein",
      sign: "model_index.json has is_distilled or is klein KV's, or the file's name has no 'base'",
      schedule: .flowMatching,
      stepCount: 4, guidanceScale: 1
    ) { $0.variant == distilled },
    ModelKind(
      name: "FLUX.2 klein base",
      sign: "model_index.json does not have is_distilled, or the file's name has 'base'",
      schedule: .flowMatching, stepCount: 50, guidanceScale: 4
    ) { _ in true },
  ]
}
