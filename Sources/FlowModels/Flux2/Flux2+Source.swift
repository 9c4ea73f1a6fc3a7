internal import FlowGraph
internal import FlowText

extension Flux2 {
  static func recognizes(_ store: WeightStore) -> Bool { false }

  static func open(_ source: ModelSource, _ options: LoadOptions) throws -> ModelParts {
    switch source {
    case .folder(let folder, let index): return try open(folder: folder, index, options)
    case .file(let path, _):
      throw ModelError(
        code: .unsupported,
        message: "'\(path)' is one file; FLUX.2 is read from a folder in diffusers' layout, with "
          + "model_index.json", settings: [.model])
    }
  }

  private static func open(
    folder: String, _ index: ConfigurationFile, _ options: LoadOptions
  ) throws -> ModelParts {
    let configuration = try Flux2TransformerConfiguration(
      ConfigurationFile(path: "\(folder)/transformer/config.json"))
    let network = try configuration.weights(
      WeightStore(
        folder: "\(folder)/transformer", stem: "diffusion_pytorch_model",
        variant: options.variant))
    let qwen = try Qwen3TextEncoding.open(
      folder: folder, template: .qwen3WithoutThinking, states: { _ in textStates },
      tokenCount: tokenCount, variant: options.variant)
    let schedule = try ConfigurationFile(path: "\(folder)/scheduler/scheduler_config.json")
    // The pipeline's own shift is an exponent.
    try schedule.require("time_shift_type", isOneOf: [.text("exponential")])
    let family = try Flux2(
      configuration, qwen: qwen.encoding,
      isDistilled: index.bool("is_distilled", default: false),
      shiftsDynamically: schedule.bool("use_dynamic_shifting", default: false), path: folder)
    return ModelParts(
      pipelineName: try index.text("_class_name") ?? "unnamed", family: family,
      components: [
        Component(
          .network, name: "transformer", architecture: "Flux2Transformer2DModel",
          weights: network),
        Component(
          .textEncoder(0), name: qwen.encoding.name, architecture: qwen.encoding.architecture,
          weights: qwen.weights),
      ],
      autoencoder: try .find(
        folder: folder, choice: options.autoencoder, variant: options.variant, latents: nil),
      scheduler: try SchedulerConfiguration(schedule))
  }

  static let kinds: [ModelKind] = [
    ModelKind(
      name: "FLUX.2 klein", sign: "model_index.json has is_distilled", schedule: .flowMatching,
      stepCount: 4, guidanceScale: 1
    ) { $0.variant == distilled },
    ModelKind(
      name: "FLUX.2 klein base", sign: "model_index.json does not have is_distilled",
      schedule: .flowMatching, stepCount: 50, guidanceScale: 4
    ) { _ in true },
  ]
}
