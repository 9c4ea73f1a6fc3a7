internal import FlowGraph
internal import FlowText

extension ZImage {
  static func recognizes(_ store: WeightStore) -> Bool { false }

  static func open(_ source: ModelSource, _ options: LoadOptions) throws -> ModelParts {
    switch source {
    case .folder(let folder, let index): return try open(folder: folder, index, options)
    case .file(let path, _):
      throw ModelError(
        code: .unsupported,
        message: "'\(path)' is one file; Z-Image is read from a folder in diffusers' layout, with "
          + "model_index.json", settings: [.model])
    }
  }

  private static func open(
    folder: String, _ index: ConfigurationFile, _ options: LoadOptions
  ) throws -> ModelParts {
    let configuration = try ZImageTransformerConfiguration(
      ConfigurationFile(path: "\(folder)/transformer/config.json"))
    let network = try configuration.weights(
      WeightStore(
        folder: "\(folder)/transformer", stem: "diffusion_pytorch_model",
        variant: options.variant))
    // The second to last hidden state, not normalized.
    let qwen = try Qwen3TextEncoding.open(
      folder: folder, template: .qwen3, states: { [$0 - 1] }, tokenCount: tokenCount,
      variant: options.variant)
    return ModelParts(
      pipelineName: try index.text("_class_name") ?? "unnamed",
      family: try ZImage(configuration, qwen: qwen.encoding, path: folder),
      components: [
        Component(
          .network, name: "transformer", architecture: "ZImageTransformer2DModel",
          weights: network),
        Component(
          .textEncoder(0), name: qwen.encoding.name, architecture: qwen.encoding.architecture,
          weights: qwen.weights),
      ],
      autoencoder: try .find(
        folder: folder, choice: options.autoencoder, variant: options.variant, latents: .taef1),
      scheduler: try SchedulerConfiguration(
        ConfigurationFile(path: "\(folder)/scheduler/scheduler_config.json")))
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
