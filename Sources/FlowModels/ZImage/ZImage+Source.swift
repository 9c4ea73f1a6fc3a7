internal import FlowGraph
internal import FlowText

extension ZImage {
  /// Weights that no other family has together.
  private static let signs = ["layers.0.attention.qkv.weight", "cap_pad_token"]

  static func recognizes(_ store: WeightStore) -> Bool {
    TransformerFile.prefix(in: store, of: signs) != nil
  }

  static func open(_ source: ModelSource, _ options: LoadOptions) throws -> ModelParts {
    switch source {
    case .folder(let folder, let index): return try open(folder: folder, index, options)
    case .file(let path, let store):
      return try open(
        TransformerFile(path: path, store, names: signs, family: "Z-Image"), options)
    }
  }

  private static func transformer(
    _ file: TransformerFile
  ) throws -> (ZImageTransformerConfiguration, WeightStore) {
    let named = try file.network(ZImageNames.weights)
    let configuration = try ZImageTransformerConfiguration(
      ConfigurationFile(
        path: file.path, values: ZImageTransformerConfiguration.values(of: named.shapes)))
    return (configuration, try configuration.weights(named))
  }

  /// The network of a folder, or of a file in original names or in diffusers'.
  private static func transformer(
    folder: String, _ options: LoadOptions
  ) throws -> (ZImageTransformerConfiguration, WeightStore) {
    if let file = options.network, recognizes(file.store) {
      return try transformer(
        TransformerFile(path: file.path, file.store, names: signs, family: "Z-Image"))
    }
    let configuration = try ZImageTransformerConfiguration(
      ConfigurationFile(path: "\(folder)/transformer/config.json"))
    return (
      configuration, try options.networkWeights(in: folder, configuration.weights)
    )
  }

  private static func open(
    _ file: TransformerFile, _ options: LoadOptions
  ) throws -> ModelParts {
    let (configuration, network) = try transformer(file)
    try file.checkTextEncoder()
    return try parts(
      pipelineName: pipelines[0], configuration, network,
      folder: file.folder, path: file.path, options,
      autoencoder: file.autoencoder(options.autoencoder, latents: .taef1),
      scheduler: SchedulerConfiguration(
        ConfigurationFile(
          path: file.path,
          values: [
            "_class_name": .text("FlowMatchEulerDiscreteScheduler"), "shift": .number(3),
          ])))
  }

  private static func open(
    folder: String, _ index: ConfigurationFile, _ options: LoadOptions
  ) throws -> ModelParts {
    let (configuration, network) = try transformer(folder: folder, options)
    return try parts(
      pipelineName: index.text("_class_name") ?? "unnamed", configuration, network,
      folder: folder, path: folder, options,
      autoencoder: .find(
        folder: folder, choice: options.autoencoder, variant: options.variant, latents: .taef1),
      scheduler: SchedulerConfiguration(
        ConfigurationFile(path: "\(folder)/scheduler/scheduler_config.json")))
  }

  private static func parts(
    pipelineName: String, _ configuration: ZImageTransformerConfiguration, _ network: WeightStore,
    folder: String, path: String, _ options: LoadOptions, autoencoder: AutoencoderParts,
    scheduler: SchedulerConfiguration
  ) throws -> ModelParts {
    // The second to last hidden state, not normalized.
    let qwen = try Qwen3TextEncoding.open(
      folder: folder, template: .qwen3, states: { [$0 - 1] }, tokenCount: tokenCount, options)
    return ModelParts(
      pipelineName: pipelineName,
      family: try ZImage(configuration, qwen: qwen.encoding, path: path),
      components: [
        Component(
          .network, name: "transformer", architecture: "ZImageTransformer2DModel",
          weights: network),
        Component(
          .textEncoder(0), name: qwen.encoding.name, architecture: qwen.encoding.architecture,
          weights: qwen.weights),
      ], autoencoder: autoencoder, scheduler: scheduler)
  }

  /// Scales follow this package's convention: diffusers' pipeline uses the scale minus 1.
  static let kinds: [ModelKind] = [
    ModelKind(
      name: "Z-Image-Turbo", sign: "the name has 'turbo'", schedule: .flowMatching, stepCount: 8,
      guidanceScale: 1
    ) { $0.name.contains("turbo") },
    ModelKind(
      name: "Z-Image", sign: "the name does not have 'turbo'", schedule: .flowMatching,
      stepCount: 50, guidanceScale: 5
    ) { _ in true },
  ]
}
