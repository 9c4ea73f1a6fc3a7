internal import FlowGraph
internal import FlowText

extension DreamLite {
  /// There are no files in original names; folders are recognized by their pipeline.
  static func recognizes(_ store: WeightStore) -> Bool { false }

  static func open(_ source: ModelSource, _ options: LoadOptions) throws -> ModelParts {
    switch source {
    case .folder(let folder, let index): return try open(folder: folder, index, options)
    case .file(let path, _):
      throw ModelError(
        code: .unsupported,
        message: "'\(path)' is one file; DreamLite is read from a folder in diffusers' layout")
    }
  }

  private static func open(
    folder: String, _ index: ConfigurationFile, _ options: LoadOptions
  ) throws -> ModelParts {
    let configuration = try DreamLiteConfiguration(
      ConfigurationFile(path: "\(folder)/unet/config.json"))
    let network = try WeightStore(
      folder: "\(folder)/unet", stem: "diffusion_pytorch_model", variant: options.variant)
    let qwen = try Qwen3TextEncoding.open(
      folder: folder, template: .dreamLite, states: { [$0] },
      tokenCount: skippedTokenCount + promptTokenCount, options)
    return ModelParts(
      pipelineName: try index.text("_class_name") ?? "unnamed",
      family: try DreamLite(
        configuration, qwen: qwen.encoding, path: folder),
      components: [
        Component(
          .network, name: "unet", architecture: "DreamLiteUNetModel", weights: network),
        Component(
          .textEncoder(0), name: qwen.encoding.name, architecture: qwen.encoding.architecture,
          weights: qwen.weights),
      ],
      autoencoder: try .find(
        folder: folder, choice: options.autoencoder, variant: options.variant, latents: .taesdxl),
      scheduler: try SchedulerConfiguration(
        ConfigurationFile(path: "\(folder)/scheduler/scheduler_config.json")))
  }

  static let kinds: [ModelKind] = [
    ModelKind(
      name: "DreamLite-mobile", sign: "the pipeline is DreamLiteMobilePipeline",
      schedule: .flowMatching, stepCount: 4, guidanceScale: 1
    ) { $0.pipelineName == "DreamLiteMobilePipeline" },
    ModelKind(
      name: "DreamLite", sign: "the pipeline is DreamLitePipeline", schedule: .flowMatching,
      stepCount: 30, guidanceScale: 3.5
    ) { _ in true },
  ]
}
